//! The methods that read a page: elements under a point, matches of a selector, what is in them, the text of it all.

use super::call::Call;
use super::failure::Failure;
use super::memory::Answer;
use super::world::Found;
use serde_json::{Value, json};
use vitrine_cdp::protocol::page::GetLayoutMetrics;

/// Matches and items of one answer.
const MATCHES_MAX: u64 = 200;
const MATCHES: u64 = 20;
const FIELDS: [&str; 3] = ["text", "href", "html"];

impl Call<'_> {
    /// The selector in the first argument: an object that has one, or the text itself.
    fn target(&self) -> Result<&str, Failure> {
        let what = match self.arguments.method() {
            "resolvePageTarget" => "target.selector",
            _ => "selection.selector",
        };
        let target = self.arguments.at(0);
        let selector = target.and_then(Value::as_str).or(self.arguments.options(0).text("selector"));
        let selector = selector.filter(|selector| !selector.trim().is_empty());
        selector.ok_or_else(|| Failure::requires(self.arguments.method(), what))
    }

    /// What a function answers for the target, once.
    async fn read(&self, verb: &str, more: Value) -> Answer {
        let selector = self.target()?;
        let tab = self.tab(1)?;
        let attended = self.attended(&tab.id).await?;
        let mut argument = more;
        argument["selector"] = selector.into();
        match self.ask::<Found>(&tab.id, &attended, verb, argument).await? {
            Found::Ready { value, .. } => Ok(value),
            other => Err(other.failure(self.arguments.method(), selector)),
        }
    }

    pub async fn resolve_page_target(&self) -> Answer {
        let matches = self.arguments.options(1).count("maxMatches", MATCHES, MATCHES_MAX);
        self.read("resolve", json!({ "maxMatches": matches })).await
    }

    pub async fn generalize_selection(&self) -> Answer {
        self.read("generalize", self.items()).await
    }

    pub async fn extract_selection(&self) -> Answer {
        self.read("extract", self.items()).await
    }

    fn items(&self) -> Value {
        let options = self.arguments.options(1);
        let asked = options.get("fields").and_then(Value::as_array);
        let is_asked = |field: &&str| asked.is_none_or(|asked| asked.iter().any(|asked| asked == *field));
        let fields: Vec<_> = FIELDS.into_iter().filter(is_asked).collect();
        json!({ "maxItems": options.count("maxItems", MATCHES, MATCHES_MAX), "fields": fields })
    }

    /// The element under a point of the picture; null where there is none.
    pub async fn inspect_at(&self) -> Answer {
        let point = self.arguments.options(0);
        let (Some(x), Some(y)) = (point.number("x"), point.number("y")) else {
            return Err(Failure::requires("page.inspectAt", "an object with x and y"));
        };
        let tab = self.tab(0)?;
        let attended = self.attended(&tab.id).await?;
        let zoom = self.stage.metrics.zoom(&tab.id);
        let argument = json!({ "x": x / zoom, "y": y / zoom });
        let mut facts: Value = self.ask(&tab.id, &attended, "inspect", argument).await?;
        if let Some(rect) = facts.get_mut("rect").and_then(Value::as_object_mut) {
            for side in rect.values_mut() {
                *side = json!(side.as_f64().unwrap_or_default() * zoom);
            }
        }
        Ok(facts)
    }

    pub async fn page_text(&self) -> Answer {
        let tab = self.tab(0)?;
        let attended = self.attended(&tab.id).await?;
        let main = self.arguments.options(0).is("mainContentOnly");
        self.ask(&tab.id, &attended, "text", json!({ "mainContentOnly": main })).await
    }

    /// In CSS pixels of the page.
    pub async fn screen_metrics(&self) -> Answer {
        let tab = self.tab(0)?;
        let attended = self.attended(&tab.id).await?;
        let layout = attended.page.call_within(self.left(), GetLayoutMetrics {}).await?;
        let facts: Value = self.ask(&tab.id, &attended, "facts", Value::Null).await?;
        let (view, page) = (layout.css_visual_viewport, layout.css_content_size);
        Ok(json!({
            "tabId": tab.id.0,
            "width": view.client_width,
            "height": view.client_height,
            "scrollX": view.page_x,
            "scrollY": view.page_y,
            "zoom": self.stage.metrics.zoom(&tab.id) * view.scale,
            "devicePixelRatio": facts["devicePixelRatio"],
            "documentWidth": page.width,
            "documentHeight": page.height,
        }))
    }
}
