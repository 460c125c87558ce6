//! The API document as HTML. It reads the document as JSON, so that it shows exactly what a generator would see.

use crate::openapi::REQUIRES;
use serde_json::{Map, Value};
use std::fmt::Write;
use utoipa::openapi::OpenApi;

/// How deep schemas are shown inside one another.
const DEPTH_MAX: usize = 4;

/// The whole page.
pub fn write(document: &OpenApi, style: &str) -> String {
    let document = serde_json::to_value(document).unwrap_or_default();
    let page = Page { document: &document };
    let title = escaped(text(&document["info"]["title"]));
    let version = escaped(text(&document["info"]["version"]));
    let (mut contents, mut sections) = (String::new(), String::new());
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = text(&tag["name"]);
        let anchor = anchor(name);
        let (links, articles) = page.operations(name);
        let _ = write!(contents, "<li><a href=\"#{anchor}\">{}</a><ul>{links}</ul></li>", escaped(name));
        let _ = write!(
            sections,
            "<section><h2 id=\"{anchor}\">{}</h2><p>{}</p>{articles}</section>",
            escaped(name),
            prose(text(&tag["description"]))
        );
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{title} API</title><style>{style}</style></head><body>\
         <nav><strong>{title}</strong> <small>{version}</small><ul>{contents}</ul>\
         <p><a href=\"openapi.json\">openapi.json</a></p></nav>\
         <main><h1>{title} API</h1><p>{}</p>{}{sections}</main></body></html>",
        prose(text(&document["info"]["description"])),
        include_str!("../../assets/docs-start.html"),
    )
}

struct Page<'a> {
    document: &'a Value,
}

impl Page<'_> {
    /// Links and articles of a tag's operations.
    fn operations(&self, tag: &str) -> (String, String) {
        let (mut links, mut articles) = (String::new(), String::new());
        for (path, item) in self.document["paths"].as_object().into_iter().flatten() {
            for method in ["post", "get", "put", "patch", "delete"] {
                let operation = &item[method];
                if operation["tags"][0] != tag {
                    continue;
                }
                let anchor = anchor(&format!("{method} {path}"));
                let name = format!("<b class=\"{method}\">{}</b> {}", method.to_uppercase(), escaped(path));
                let _ = write!(links, "<li><a href=\"#{anchor}\">{name}</a></li>");
                let _ =
                    write!(articles, "<article id=\"{anchor}\"><h3>{name}</h3>{}</article>", self.operation(operation));
            }
        }
        (links, articles)
    }

    fn operation(&self, operation: &Value) -> String {
        let mut html = format!("<p>{}</p>", prose(text(&operation["summary"])));
        if let Some(description) = operation["description"].as_str() {
            let _ = write!(html, "<p>{}</p>", prose(description));
        }
        if let Some(requires) = operation.get(REQUIRES) {
            html.push_str(&requirements(requires));
        }
        let parameters: Vec<_> = operation["parameters"].as_array().into_iter().flatten().collect();
        if !parameters.is_empty() {
            html.push_str("<h4>Parameters</h4><table>");
            for parameter in parameters {
                let schema = &parameter["schema"];
                let required = parameter["required"] == true;
                html.push_str(&row(text(&parameter["name"]), &kind(schema), required, text(&parameter["description"])));
            }
            html.push_str("</table>");
        }
        if let Some(body) = operation["requestBody"].get("content").and_then(|content| content.get("application/json"))
        {
            let _ = write!(html, "<h4>Body</h4>{}", self.fields(&body["schema"], 0));
            html.push_str(&example(self.example(&body["schema"], 0)));
        }
        html.push_str("<h4>Answers</h4>");
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            html.push_str(&self.response(status, response));
        }
        html
    }

    fn response(&self, status: &str, response: &Value) -> String {
        let response = self.resolved(response);
        let class = if status.starts_with('2') { "good" } else { "bad" };
        let head = format!("<code class=\"{class}\">{status}</code> {}", prose(text(&response["description"])));
        let schema = &response["content"]["application/json"]["schema"];
        let (fields, sample) = (self.fields(schema, 0), self.example(schema, 0));
        if !status.starts_with('2') || fields.is_empty() {
            return format!("<p>{head}</p>");
        }
        format!("<details><summary>{head}</summary>{fields}{}</details>", example(sample))
    }

    /// A table of an object's fields.
    fn fields(&self, schema: &Value, depth: usize) -> String {
        let schema = self.resolved(schema);
        let mut html = String::new();
        for part in alternatives(schema) {
            html.push_str(&self.fields(part, depth));
        }
        let Some(properties) = schema["properties"].as_object().filter(|_| depth < DEPTH_MAX) else { return html };
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        html.push_str("<table>");
        for (name, property) in properties {
            let inner = self.resolved(property);
            let described = property.get("description").or_else(|| inner.get("description"));
            html.push_str(&row(name, &kind(inner), required.contains(&name.as_str()), described.map_or("", text)));
            let nested = if inner["type"] == "array" { &inner["items"] } else { inner };
            let nested = self.fields(nested, depth + 1);
            if !nested.is_empty() {
                let _ = write!(html, "<tr><td></td><td colspan=\"2\">{nested}</td></tr>");
            }
        }
        html.push_str("</table>");
        html
    }

    /// A value that fits a schema, from the examples inside it.
    fn example(&self, schema: &Value, depth: usize) -> Value {
        let schema = self.resolved(schema);
        if let Some(example) = schema.get("example").or_else(|| schema.get("default")) {
            return example.clone();
        }
        if depth >= DEPTH_MAX {
            return Value::Null;
        }
        if let Some(part) = schema["oneOf"].as_array().and_then(|all| all.iter().find(|part| part["type"] != "null")) {
            return self.example(part, depth);
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let mut all = Map::new();
            for part in parts {
                all.extend(self.example(part, depth).as_object().cloned().unwrap_or_default());
            }
            return Value::Object(all);
        }
        if let Some(properties) = schema["properties"].as_object() {
            let fields = properties.iter().map(|(name, property)| (name.clone(), self.example(property, depth + 1)));
            return Value::Object(fields.collect());
        }
        match &schema["type"] {
            Value::String(word) if word == "array" => Value::Array(vec![self.example(&schema["items"], depth + 1)]),
            Value::String(word) if word == "string" => schema["enum"].get(0).cloned().unwrap_or_else(|| "…".into()),
            Value::String(word) if word == "boolean" => false.into(),
            Value::String(word) if word == "integer" || word == "number" => 0.into(),
            _ => Value::Null,
        }
    }

    /// What a reference points to.
    fn resolved<'b>(&'b self, schema: &'b Value) -> &'b Value {
        match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => self.document.pointer(pointer).unwrap_or(&Value::Null),
            None => schema,
        }
    }
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "allOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten()
}

fn requirements(requires: &Value) -> String {
    let limit = format!("{} a minute, burst {}", requires["perMinute"], requires["burst"]);
    match requires["permission"].as_str() {
        Some(permission) => format!("<p class=\"needs\">Permission <code>{permission}</code> · {limit}</p>"),
        None => format!("<p class=\"needs\">The operator's key · {limit}</p>"),
    }
}

fn row(name: &str, kind: &str, required: bool, description: &str) -> String {
    let mark = if required { " <small>required</small>" } else { "" };
    format!("<tr><td><code>{}</code>{mark}</td><td>{kind}</td><td>{}</td></tr>", escaped(name), prose(description))
}

/// A schema's type in words.
fn kind(schema: &Value) -> String {
    if let Some(all) = schema["enum"].as_array() {
        let words: Vec<_> = all.iter().map(|word| format!("<code>{}</code>", escaped(text(word)))).collect();
        return words.join(" ");
    }
    let word = match &schema["type"] {
        Value::String(word) => word.clone(),
        Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(" or "),
        _ => "object".to_owned(),
    };
    let bound =
        |key: &str, sign: &str| schema[key].as_number().map(|number| format!(" {sign} {number}")).unwrap_or_default();
    format!("{}{}{}", escaped(&word), bound("minimum", "≥"), bound("maximum", "≤"))
}

fn example(value: Value) -> String {
    let Ok(sample) = serde_json::to_string_pretty(&value) else { return String::new() };
    if value.is_null() { String::new() } else { format!("<pre>{}</pre>", escaped(&sample)) }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn anchor(name: &str) -> String {
    name.chars()
        .map(|character| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' })
        .collect()
}

/// Text with `code` marked.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let marked =
        parts.map(|(at, part)| if at % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { escaped(part) });
    marked.collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
