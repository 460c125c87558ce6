//! Writes Rust types for the part of the DevTools protocol that `domains.toml` names. Assumes the JSON that Chromium
//! serves at `/json/protocol`; promises the same text for the same input, one file a domain, and nothing that no listed
//! command or event reaches.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    commands: Vec<String>,
    events: Vec<String>,
    omit: BTreeSet<String>,
}

/// File names (in `src/protocol/`) and their text.
pub fn generate(domains: &str, protocol: &str) -> Result<BTreeMap<String, String>> {
    let wanted: BTreeMap<String, Wanted> = toml::from_str(domains).context("could not read domains.toml")?;
    let protocol: Value = serde_json::from_str(protocol).context("could not read the protocol description")?;
    let mut writer = Writer {
        protocol: &protocol,
        wanted: &wanted,
        queue: Vec::new(),
        known: BTreeSet::new(),
        out: BTreeMap::new(),
    };
    for (domain, wanted) in &wanted {
        for name in &wanted.commands {
            writer.command(domain, name)?;
        }
        for name in &wanted.events {
            writer.event(domain, name)?;
        }
    }
    while let Some((domain, name)) = writer.queue.pop() {
        writer.named_type(&domain, &name)?;
    }
    Ok(files(writer.out))
}

fn files(domains: BTreeMap<String, BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut modules = String::from(
        "//! Types of the DevTools protocol, one module a domain: what `domains.toml` names, written by `cargo xtask cdp`.\n\n",
    );
    for (domain, items) in domains {
        let module = snake(&domain);
        let _ = writeln!(modules, "pub mod {module};");
        let mut text = format!(
            "//! `{domain}`: written by `cargo xtask cdp` from Chromium's description; do not edit.\n\nuse serde::{{Deserialize, Serialize}};\n"
        );
        for item in items.values() {
            text.push('\n');
            text.push_str(item);
        }
        if !text.contains("Serialize)]") && !text.contains("Serialize, ") {
            text = text.replace("use serde::{Deserialize, Serialize};", "use serde::Deserialize;");
        }
        files.insert(format!("{module}.rs"), text);
    }
    files.insert("mod.rs".into(), modules);
    files
}

struct Writer<'a> {
    protocol: &'a Value,
    wanted: &'a BTreeMap<String, Wanted>,
    queue: Vec<(String, String)>,
    known: BTreeSet<(String, String)>,
    /// domain → sort key → text; the keys keep commands, events and types apart and in order.
    out: BTreeMap<String, BTreeMap<String, String>>,
}

impl Writer<'_> {
    fn command(&mut self, domain: &str, name: &str) -> Result<()> {
        let command = self.find(domain, "commands", "name", name)?.clone();
        let rust = pascal(name);
        let fields = self.fields(domain, name, list(&command, "parameters"))?;
        let default = if fields.iter().all(|field| field.defaultable) { "Default, " } else { "" };
        let mut text = documentation(&command, "");
        text += &structure(&rust, &format!("Clone, Debug, {default}Serialize"), &fields);
        let results = self.fields(domain, name, list(&command, "returns"))?;
        let mut response = "crate::Nothing".to_owned();
        if !results.is_empty() {
            response = format!("{rust}Response");
            let _ = writeln!(text, "\n/// What `{domain}.{name}` answers.");
            text += &structure(&response, "Clone, Debug, Deserialize", &results);
        }
        let _ = write!(
            text,
            "\nimpl crate::Command for {rust} {{ const METHOD: &'static str = \"{domain}.{name}\"; type Response = {response}; }}\n"
        );
        self.put(domain, format!("1 {name}"), text);
        Ok(())
    }

    fn event(&mut self, domain: &str, name: &str) -> Result<()> {
        let event = self.find(domain, "events", "name", name)?.clone();
        let rust = pascal(name);
        let fields = self.fields(domain, name, list(&event, "parameters"))?;
        let mut text = documentation(&event, "");
        text += &structure(&rust, "Clone, Debug, Deserialize", &fields);
        let _ =
            write!(text, "\nimpl crate::Event for {rust} {{ const METHOD: &'static str = \"{domain}.{name}\"; }}\n");
        self.put(domain, format!("2 {name}"), text);
        Ok(())
    }

    fn named_type(&mut self, domain: &str, name: &str) -> Result<()> {
        let definition = self.find(domain, "types", "id", name)?.clone();
        let rust = type_name(name);
        let mut text = documentation(&definition, "");
        match definition["type"].as_str() {
            Some("object") if definition["properties"].is_array() => {
                let fields = self.fields(domain, name, list(&definition, "properties"))?;
                text += &structure(&rust, "Clone, Debug, Serialize, Deserialize", &fields);
            }
            Some("string") if definition["enum"].is_array() => text += &enumeration(&rust, &definition["enum"]),
            Some("string") => {
                let _ = write!(
                    text,
                    "#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]\n#[serde(transparent)]\npub struct {rust}(pub String);\n"
                );
            }
            _ => {
                let (inner, _) = self.rust_type(domain, name, &definition)?;
                let _ = writeln!(text, "pub type {rust} = {inner};");
            }
        }
        self.put(domain, format!("3 {name}"), text);
        Ok(())
    }

    fn fields(&mut self, domain: &str, owner: &str, definitions: &[Value]) -> Result<Vec<Field>> {
        let mut fields = Vec::new();
        for definition in definitions {
            let name = text_of(definition, "name")?;
            let omitted =
                self.wanted.get(domain).is_some_and(|wanted| wanted.omit.contains(&format!("{owner}.{name}")));
            if omitted || definition["deprecated"] == true {
                continue;
            }
            let (rust_type, defaultable) = self.rust_type(domain, &format!("{owner} {name}"), definition)?;
            let optional = definition["optional"] == true;
            fields.push(Field {
                documentation: documentation(definition, "    "),
                wire: name.to_owned(),
                rust_type: if optional { format!("Option<{rust_type}>") } else { rust_type },
                optional,
                defaultable: optional || defaultable,
            });
        }
        Ok(fields)
    }

    /// The Rust type and whether it has a default. Enumerations written in place get a type named after their owner.
    fn rust_type(&mut self, domain: &str, place: &str, definition: &Value) -> Result<(String, bool)> {
        if let Some(reference) = definition["$ref"].as_str() {
            let (other, name) = reference.split_once('.').unwrap_or((domain, reference));
            let target = self.find(other, "types", "id", name)?;
            let defaultable = target["type"] == "string" && !target["enum"].is_array();
            if self.known.insert((other.into(), name.into())) {
                self.queue.push((other.into(), name.into()));
            }
            let path = if other == domain { String::new() } else { format!("super::{}::", snake(other)) };
            return Ok((format!("{path}{}", type_name(name)), defaultable));
        }
        Ok(match definition["type"].as_str() {
            Some("string") if definition["enum"].is_array() => {
                let rust: String = place.split(' ').map(pascal).collect();
                self.put(
                    domain,
                    format!("3 {place}"),
                    documentation(definition, "") + &enumeration(&rust, &definition["enum"]),
                );
                (rust, false)
            }
            Some("string" | "binary") => ("String".into(), true),
            Some("integer") => ("i64".into(), true),
            Some("number") => ("f64".into(), true),
            Some("boolean") => ("bool".into(), true),
            Some("array") => (format!("Vec<{}>", self.rust_type(domain, place, &definition["items"])?.0), true),
            Some("object" | "any") => ("serde_json::Value".into(), true),
            other => bail!("could not map the type {other:?} of {domain}.{place}"),
        })
    }

    fn find(&self, domain: &str, kind: &str, key: &str, name: &str) -> Result<&Value> {
        let entry = list(self.protocol, "domains").iter().find(|entry| entry["domain"] == domain);
        let entry = entry.with_context(|| format!("could not find the domain {domain}"))?;
        let found = list(entry, kind).iter().find(|item| item[key] == name);
        found.with_context(|| format!("could not find {domain}.{name} among its {kind}"))
    }

    fn put(&mut self, domain: &str, key: String, text: String) {
        self.out.entry(domain.to_owned()).or_default().insert(key, text);
    }
}

struct Field {
    documentation: String,
    wire: String,
    rust_type: String,
    optional: bool,
    defaultable: bool,
}

fn structure(name: &str, derives: &str, fields: &[Field]) -> String {
    let mut text = format!("#[derive({derives})]\n");
    if fields.iter().any(|field| snake(&field.wire) != field.wire) {
        text += "#[serde(rename_all = \"camelCase\")]\n";
    }
    let _ = writeln!(text, "pub struct {name} {{");
    for field in fields {
        let rust = snake(&field.wire);
        text += &field.documentation;
        let mut attributes = Vec::new();
        if camel(&rust) != field.wire {
            attributes.push(format!("rename = \"{}\"", field.wire));
        }
        if field.optional && derives.contains("Serialize") && !derives.ends_with("Debug, Deserialize") {
            attributes.push("skip_serializing_if = \"Option::is_none\"".to_owned());
        }
        if !attributes.is_empty() {
            let _ = writeln!(text, "    #[serde({})]", attributes.join(", "));
        }
        let raw = if rust == "type" { "r#type".to_owned() } else { rust };
        let _ = writeln!(text, "    pub {raw}: {},", field.rust_type);
    }
    text + "}\n"
}

/// Closed on the wire today, open tomorrow: a newer Chromium's value must not make an answer unreadable.
fn enumeration(name: &str, values: &Value) -> String {
    let mut text = format!("#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]\npub enum {name} {{\n");
    for value in values.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let _ = writeln!(text, "    #[serde(rename = \"{value}\")]\n    {},", pascal(value));
    }
    text + "    #[serde(untagged)]\n    Unlisted(String),\n}\n"
}

fn documentation(definition: &Value, indent: &str) -> String {
    let lines = definition["description"].as_str().unwrap_or_default().lines();
    lines
        .map(|line| format!("{indent}/// {}", line.trim()).trim_end().replace('[', "\\[").replace(']', "\\]") + "\n")
        .collect()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text_of<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("could not find {key:?} in {value}"))
}

fn pascal(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    words
        .map(|word| word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect::<String>())
        .collect()
}

/// `TargetID` → `TargetId`: the house writes acronyms as words.
fn type_name(name: &str) -> String {
    pascal(name.strip_suffix("ID").map(|stem| format!("{stem}Id")).as_deref().unwrap_or(name))
}

/// What serde's `camelCase` makes of a field's name.
fn camel(snake: &str) -> String {
    let pascal = pascal(snake);
    pascal.chars().take(1).flat_map(char::to_lowercase).chain(pascal.chars().skip(1)).collect()
}

/// `frameId` → `frame_id`, `hasAPI` → `has_api`.
fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut text = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let after_lower = index > 0 && !letters[index - 1].is_uppercase();
        let before_lower = index > 0 && letters.get(index + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && (after_lower || before_lower) {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}
