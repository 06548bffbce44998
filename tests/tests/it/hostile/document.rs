//! What `openapi.json` says that an operation takes, as the cases need it.

use serde_json::{Map, Value, json};

/// One operation.
pub(super) struct Operation {
    pub(super) method: String,
    pub(super) template: String,
    /// The names of its parameters in the path, the query and the headers.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<String>,
    pub(super) headers: Vec<String>,
    pub(super) body: Option<Body>,
    /// Whether it needs no credential.
    pub(super) is_open: bool,
}

/// What a body may be.
pub(super) struct Body {
    pub(super) is_required: bool,
    pub(super) fields: Vec<Field>,
}

/// A field of a body, however deep.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// From the body's top: names, and `0` for the first item of a list.
    pub(super) path: Vec<String>,
    /// The schema that it stands in; its own name; together they say what its texts mean.
    pub(super) owner: String,
    pub(super) name: String,
    /// JSON types that it may have.
    pub(super) types: Vec<String>,
    pub(super) is_required: bool,
}

impl Operation {
    pub(super) fn is_change(&self) -> bool {
        self.headers.iter().any(|name| name == "Idempotency-Key")
    }

    /// The largest body that it takes, in bytes.
    pub(super) fn body_limit(&self) -> usize {
        let is_large = ["/v1/verify/batch", "/v1/leaks", "/v1/tokens/import"].contains(&&*self.template);
        if is_large { 1 << 20 } else { 1 << 16 }
    }
}

impl Field {
    pub(super) fn may_be(&self, kind: &str) -> bool {
        self.types.iter().any(|own| own == kind)
    }

    /// As a problem names it.
    pub(super) fn is_item(&self) -> bool {
        self.path.last().is_some_and(|part| part == "0")
    }
}

/// All operations of a document.
pub(super) fn operations(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (template, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            found.push(operation_of(document, template, method, operation));
        }
    }
    found
}

fn operation_of(document: &Value, template: &str, method: &str, operation: &Value) -> Operation {
    let names = |place: &str| {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let here = parameters.filter(|parameter| parameter["in"] == place);
        here.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let body = operation.get("requestBody").map(|body| {
        let schema = &body["content"]["application/json"]["schema"];
        let (name, _) = resolve(document, schema);
        let mut fields = Vec::new();
        fields_of(document, &name, &[], &mut fields);
        Body { is_required: body["required"] == true, fields }
    });
    Operation {
        method: method.to_uppercase(),
        template: template.to_owned(),
        path: names("path"),
        query: names("query"),
        headers: names("header"),
        body,
        is_open: operation["security"] == json!([{}]),
    }
}

/// The name and content of what a schema refers to, itself or as one of two with `null`.
fn resolve<'d>(document: &'d Value, schema: &'d Value) -> (String, &'d Value) {
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    let reference = std::iter::once(schema).chain(choices).find_map(|choice| choice["$ref"].as_str());
    match reference.and_then(|reference| reference.strip_prefix("#/components/schemas/")) {
        Some(name) => (name.to_owned(), &document["components"]["schemas"][name]),
        None => (String::new(), schema),
    }
}

fn fields_of(document: &Value, schema: &str, above: &[String], found: &mut Vec<Field>) {
    let schema_of = &document["components"]["schemas"][schema];
    let required = schema_of["required"].as_array().cloned().unwrap_or_default();
    let none = Map::new();
    for (name, property) in schema_of["properties"].as_object().unwrap_or(&none) {
        let path = [above, std::slice::from_ref(name)].concat();
        let field = Field {
            path: path.clone(),
            owner: schema.to_owned(),
            name: name.clone(),
            types: types_of(document, property),
            is_required: required.contains(&json!(name)),
        };
        let (inner, _) = resolve(document, property);
        found.push(field.clone());
        if !inner.is_empty() {
            fields_of(document, &inner, &path, found);
        }
        if let Some(items) = property.get("items") {
            let path = [&path[..], &["0".to_owned()]].concat();
            let item =
                Field { path: path.clone(), types: types_of(document, items), is_required: false, ..field };
            found.push(item);
            let (inner, _) = resolve(document, items);
            if !inner.is_empty() {
                fields_of(document, &inner, &path, found);
            }
        }
    }
}

fn types_of(document: &Value, schema: &Value) -> Vec<String> {
    let (_, own) = resolve(document, schema);
    let mut types = match &own["type"] {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => all.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        other => panic!("a schema without a type: {own} {other}"),
    };
    if schema["oneOf"].as_array().is_some_and(|all| all.contains(&json!({"type": "null"}))) {
        types.push("null".to_owned());
    }
    types
}
