//! The `OpenAPI` document: every route, its requests and its answers, for the models that are served.

use codecs::Signature;
use serde_json::{Map, Value, json};

const JSON: &str = "application/json";
const MSGPACK: &str = "application/msgpack";
const FORM: &str = "multipart/form-data";
const OCTETS: &str = "application/octet-stream";
const RAW: [&str; 4] = [OCTETS, "image/jpeg", "image/png", "image/webp"];
const HEADER_LENGTH_TEXT: &str = "The length in bytes of the JSON in front of binary data";
/// The refusals of any route.
const REFUSALS: [(u16, &str); 4] = [
    (
        400,
        "The request is malformed: not HTTP/1.1, or its headers are too long.",
    ),
    (408, "The headers did not arrive in time."),
    (500, "The service's own fault: report it with the X-Request-Id."),
    (503, "Not ready yet, shutting down, or too many connections."),
];
const PREDICT_REFUSALS: [(u16, &str); 9] = [
    (
        400,
        "Not JSON, not base64, wrong fields, parameters, tensor shape or datatype, or empty.",
    ),
    (408, "The headers or the body did not arrive in time."),
    (
        413,
        "The body is over the byte limit, or an image over the pixel limit.",
    ),
    (415, "The content type or content encoding is not served."),
    (422, "Not an image, or a truncated or corrupt image."),
    (429, "The queue is full."),
    (500, "The service's own fault: report it with the X-Request-Id."),
    (503, "Not ready yet, shutting down, or too many connections."),
    (504, "The request's deadline passed."),
];
const NO_MODEL: (u16, &str) = (404, "No model has this name, or this version.");

/// Returns the `OpenAPI` 3.1 document of a service; /predict/ serves the first of the models.
pub fn describe(title: &str, version: &str, signatures: &[Signature]) -> Value {
    let mut paths = service_paths(title);
    let mut schemas = Map::new();
    schemas.insert(
        "Error".to_owned(),
        object(&[("error", json!({"type": "string", "minLength": 1}))], &[]),
    );
    if let Some(first) = signatures.first() {
        schemas.extend(shared_schemas());
        paths.extend(model_paths(signatures));
        for path in ["/predict/", "/predict"] {
            paths.insert(path.to_owned(), json!({"post": predict(first)}));
        }
    }
    for signature in signatures {
        let name = &signature.name;
        schemas.extend(schemas_of(signature));
        for path in [format!("/{name}/predict"), format!("/{name}/predict/")] {
            paths.insert(path, json!({"post": predict(signature)}));
        }
        paths.insert(
            format!("/v2/models/{name}/infer"),
            json!({"post": infer(signature)}),
        );
        if let Some(version) = &signature.version {
            let versioned = format!("/v2/models/{name}/versions/{version}/infer");
            paths.insert(versioned, json!({"post": infer(signature)}));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// Returns the schema of an object with these properties and no others.
fn object(properties: &[(&str, Value)], optional: &[&str]) -> Value {
    let names = properties.iter().map(|(name, _)| *name);
    let required: Vec<&str> = names.filter(|name| !optional.contains(name)).collect();
    let properties: Map<String, Value> = properties
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
        .collect();
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn reference(signature: &Signature, kind: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{}.{kind}", signature.name)})
}

fn error() -> Value {
    json!({"$ref": "#/components/schemas/Error"})
}

/// Returns a model's schemas, by the names to which `reference` refers.
fn schemas_of(signature: &Signature) -> Vec<(String, Value)> {
    let answers = json!({
        "anyOf": [
            reference(signature, "answer"),
            {
                "type": "array",
                "minItems": 1,
                "maxItems": signature.max_items,
                "items": {"anyOf": [reference(signature, "answer"), error()]},
            },
        ]
    });
    let base64 = json!({"type": "string", "format": "byte", "contentEncoding": "base64", "minLength": 4});
    let binary = json!({"type": "string", "format": "binary"});
    [
        ("item", requested(signature, &base64)),
        ("packed", requested(signature, &binary)),
        ("answer", json!({"anyOf": answers_of(signature)})),
        ("answers", answers),
        ("infer", infer_request(signature)),
        ("inferred", infer_answer(signature)),
    ]
    .map(|(kind, schema)| (format!("{}.{kind}", signature.name), schema))
    .into()
}

/// Returns the schema of one image or of several; in a list any value may stand in place of an image.
fn requested(signature: &Signature, image: &Value) -> Value {
    let several = json!({
        "type": "array",
        "minItems": 1,
        "maxItems": signature.max_items,
        "items": {"anyOf": [image, {}]},
    });
    json!({"anyOf": [object(&[("image", image.clone())], &[]), object(&[("images", several)], &[])]})
}

/// Returns the schemas of the answer without `top_k` and with it.
fn answers_of(signature: &Signature) -> [Value; 2] {
    let number = json!({"type": "number"});
    let prediction = json!({"type": "string"});
    let named: Vec<(&str, Value)> = signature
        .labels
        .iter()
        .map(|label| (label.as_str(), number.clone()))
        .collect();
    let best = object(&[("class", prediction.clone()), ("probability", number)], &[]);
    let best = json!({"type": "array", "items": best});
    [
        object(
            &[
                ("prediction", prediction.clone()),
                ("probabilities", object(&named, &[])),
            ],
            &[],
        ),
        object(&[("prediction", prediction), ("top_k", best)], &[]),
    ]
}

fn outputs_of(signature: &Signature) -> Vec<(&'static str, &'static str, Value)> {
    let most = f64::from(f32::MAX);
    let number = json!({"type": "number", "minimum": -most, "maximum": most});
    let mut outputs = vec![
        ("probabilities", "FP32", number.clone()),
        ("label", "BYTES", json!({"type": "string"})),
    ];
    if !signature.softmax {
        outputs.insert(0, ("logits", "FP32", number));
    }
    outputs
}

fn infer_request(signature: &Signature) -> Value {
    let outputs = outputs_of(signature);
    let names: Vec<&str> = outputs.iter().map(|(name, ..)| *name).collect();
    let content_types = json!({"enum": ["base64", "str", "np", "pd"]});
    let count = json!({"type": "integer", "minimum": 1, "maximum": signature.max_items});
    let input = json!({
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"const": "image"},
            "shape": {
                "type": "array",
                "prefixItems": [count, {"const": 1}],
                "minItems": 1,
                "maxItems": 2,
                "description": "The number of items is the first dimension.",
            },
            "datatype": {"const": "BYTES"},
            "parameters": {
                "type": "object",
                "properties": {
                    "binary_data_size": {"type": "integer", "minimum": 0},
                    "content_type": content_types,
                },
            },
            "data": {
                "description": "Nested or flat, row-major; absent if binary_data_size says that the data follow \
                    the JSON. Base64, with content_type \"base64\".",
                "type": "array",
                "items": {"anyOf": [{"type": "string"}, {"type": "array"}]},
            },
        },
    });
    let output = json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"enum": names},
            "parameters": {"$ref": "#/components/schemas/OutputParameters"},
        },
    });
    json!({
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "parameters": {
                "type": "object",
                "properties": {"binary_data_output": {"type": "boolean"}, "content_type": content_types},
            },
            "inputs": {"type": "array", "minItems": 1, "maxItems": 1, "items": input},
            "outputs": {"type": "array", "maxItems": names.len(), "items": output},
        },
    })
}

fn infer_answer(signature: &Signature) -> Value {
    let outputs = outputs_of(signature);
    let count = outputs.len();
    let schemas = outputs.into_iter().map(|(name, datatype, element)| {
        let rank = if datatype == "BYTES" { 1 } else { 2 };
        let shape = json!({
            "type": "array",
            "minItems": rank,
            "maxItems": rank,
            "items": {"type": "integer", "minimum": 0},
        });
        let properties = [
            ("name", json!({"const": name})),
            ("shape", shape),
            ("datatype", json!({"const": datatype})),
            ("data", json!({"type": "array", "items": element})),
            ("parameters", json!({"type": "object"})),
        ];
        object(&properties, &["data", "parameters"])
    });
    let schemas: Vec<Value> = schemas.collect();
    let outputs = json!({"type": "array", "minItems": 1, "maxItems": count, "items": {"anyOf": schemas}});
    let mut properties = vec![
        ("model_name", json!({"const": signature.name})),
        ("outputs", outputs),
    ];
    if let Some(version) = &signature.version {
        properties.push(("model_version", json!({"const": version})));
    }
    properties.push(("id", json!({"type": "string"})));
    object(&properties, &["id"])
}

fn request_id() -> Value {
    let schema = json!({"type": "string"});
    json!({"X-Request-Id": {"description": "The request's own id, or a new id.", "schema": schema}})
}

/// Returns the answers of a route; `headers` are those of the answer with status 200 beside the request's id.
fn responses(content: &Value, refusals: &[(u16, &str)], text: &str, headers: &Value) -> Value {
    let mut ok = request_id();
    let mut waits = request_id();
    merge(&mut ok, headers);
    let retry = json!({
        "Retry-After": {
            "description": "Whole seconds to wait.",
            "required": true,
            "schema": {"type": "integer", "minimum": 1},
        }
    });
    merge(&mut waits, &retry);
    let mut answers = Map::new();
    answers.insert(
        "200".to_owned(),
        json!({"description": text, "headers": ok, "content": content}),
    );
    for (status, said) in refusals {
        let headers = if matches!(status, 429 | 503) {
            waits.clone()
        } else {
            request_id()
        };
        let content = json!({JSON: {"schema": error()}});
        let answer = json!({"description": said, "headers": headers, "content": content});
        answers.insert(status.to_string(), answer);
    }
    Value::Object(answers)
}

fn merge(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        into.extend(from.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
}

fn get(summary: &str, schema: &Value, refusals: &[(u16, &str)], parameters: &[Value]) -> Value {
    let content = json!({JSON: {"schema": schema}});
    let mut operation = json!({
        "summary": summary,
        "responses": responses(&content, refusals, summary, &json!({})),
    });
    if !parameters.is_empty() {
        merge(&mut operation, &json!({"parameters": parameters}));
    }
    json!({"get": operation})
}

fn service_paths(title: &str) -> Map<String, Value> {
    let live = object(
        &[
            ("status", json!({"const": "healthy"})),
            ("live", json!({"const": true})),
        ],
        &[],
    );
    let text = json!({"schema": {"type": "string"}});
    let metrics = json!({
        "summary": "The metrics, in Prometheus text or OpenMetrics",
        "responses": responses(
            &json!({"text/plain": text, "application/openmetrics-text": text}),
            &REFUSALS,
            "The metrics",
            &json!({}),
        ),
    });
    let strings = json!({"type": "array", "items": {"type": "string"}});
    let server = [
        ("name", json!({"const": title})),
        ("version", json!({"type": "string"})),
        ("extensions", strings),
    ];
    let root = [
        ("status", json!({"const": "healthy"})),
        ("message", json!({"type": "string"})),
    ];
    let document = json!({"type": "object", "required": ["openapi", "paths"]});
    let told = |summary, schema: &Value| get(summary, schema, &REFUSALS, &[]);
    let ready = object(&[("ready", json!({"const": true}))], &[]);
    [
        ("/", told("That the service is up", &object(&root, &[]))),
        ("/ping", told("Whether the process can still answer", &live)),
        ("/api-description", told("This document", &document)),
        ("/metrics", json!({"get": metrics})),
        (
            "/v2",
            told(
                "The server and its extensions of the protocol",
                &object(&server, &[]),
            ),
        ),
        (
            "/v2/health/live",
            told("Whether the process can still answer", &live),
        ),
        (
            "/v2/health/ready",
            told("Whether every model is served now", &ready),
        ),
    ]
    .into_iter()
    .map(|(path, operation)| (path.to_owned(), operation))
    .collect()
}

fn shared_schemas() -> Map<String, Value> {
    let text = json!({"type": "string"});
    let shape = json!({"type": "array", "items": {"type": "integer", "minimum": -1}});
    let tensor = object(
        &[
            ("name", text.clone()),
            ("datatype", text.clone()),
            ("shape", shape),
        ],
        &[],
    );
    let tensors = json!({"type": "array", "items": {"$ref": "#/components/schemas/TensorMetadata"}});
    let model = [
        ("name", text.clone()),
        ("versions", json!({"type": "array", "items": text})),
        ("platform", text.clone()),
        ("inputs", tensors.clone()),
        ("outputs", tensors),
    ];
    let output = json!({
        "type": "object",
        "properties": {"binary_data": {"type": "boolean"}, "classification": {"const": 0}},
    });
    [
        ("TensorMetadata", tensor),
        ("ModelMetadata", object(&model, &[])),
        (
            "ModelReady",
            object(&[("name", text), ("ready", json!({"const": true}))], &[]),
        ),
        ("OutputParameters", output),
    ]
    .into_iter()
    .map(|(name, schema)| (name.to_owned(), schema))
    .collect()
}

/// Returns the routes that describe a model, whose name is in the path.
fn model_paths(signatures: &[Signature]) -> Map<String, Value> {
    let part = |name: &str, values: Vec<&str>| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "enum": values}});
    let model = part(
        "model",
        signatures
            .iter()
            .map(|signature| signature.name.as_str())
            .collect(),
    );
    let mut versions: Vec<&str> = signatures
        .iter()
        .filter_map(|one| one.version.as_deref())
        .collect();
    versions.sort_unstable();
    versions.dedup();
    let mut roots = vec![("/v2/models/{model}", vec![model.clone()])];
    if !versions.is_empty() {
        let version = part("version", versions);
        roots.push(("/v2/models/{model}/versions/{version}", vec![model, version]));
    }
    let refusals: Vec<(u16, &str)> = REFUSALS.iter().copied().chain([NO_MODEL]).collect();
    let mut paths = Map::new();
    for (root, parameters) in roots {
        let metadata = json!({"$ref": "#/components/schemas/ModelMetadata"});
        let ready = json!({"$ref": "#/components/schemas/ModelReady"});
        let told = |summary, schema: &Value| get(summary, schema, &refusals, &parameters);
        paths.insert(root.to_owned(), told("A model's inputs and outputs", &metadata));
        paths.insert(
            format!("{root}/ready"),
            told("Whether a model is served now", &ready),
        );
    }
    paths
}

/// Returns the headers that any request that predicts may have.
fn headers() -> [Value; 2] {
    [
        json!({
            "name": "X-Request-Timeout-Ms",
            "in": "header",
            "description": "The request's deadline in milliseconds, instead of the default deadline.",
            "schema": {"type": "integer", "minimum": 1, "maximum": 3_600_000},
        }),
        json!({
            "name": "X-Request-Id",
            "in": "header",
            "description": "A name for the request, sent back and logged; its first 128 bytes count.",
            "schema": {"type": "string"},
        }),
    ]
}

fn predict(signature: &Signature) -> Value {
    let binary = json!({"type": "string", "format": "binary"});
    let mut content = Map::new();
    content.insert(JSON.to_owned(), json!({"schema": reference(signature, "item")}));
    content.insert(
        MSGPACK.to_owned(),
        json!({"schema": reference(signature, "packed")}),
    );
    content.extend(RAW.map(|kind| (kind.to_owned(), json!({"schema": binary}))));
    let file = json!({"type": "array", "items": binary, "minItems": 1, "maxItems": signature.max_items});
    let types = json!({"file": {"contentType": RAW.join(", ")}});
    content.insert(
        FORM.to_owned(),
        json!({"schema": object(&[("file", file)], &[]), "encoding": types}),
    );
    let top_k = json!({
        "name": "top_k",
        "in": "query",
        "description": "Answer with the best k classes in order, or with all classes if there are fewer.",
        "schema": {"type": "integer", "minimum": 1},
    });
    let [timeout, id] = headers();
    let answers = json!({"schema": reference(signature, "answers")});
    json!({
        "summary": format!("Ask {}", signature.name),
        "description": "One item, or several in a list or form. The answer to several is a list in their order, with \
            an error in the place of each bad item. Msgpack is answered in msgpack, errors in JSON.",
        "parameters": [top_k, timeout, id],
        "requestBody": {"required": true, "content": content},
        "responses": responses(
            &json!({JSON: answers, MSGPACK: answers}),
            &PREDICT_REFUSALS,
            "The model's answer",
            &json!({}),
        ),
    })
}

fn infer(signature: &Signature) -> Value {
    let header_length = json!({
        "name": "Inference-Header-Content-Length",
        "in": "header",
        "description": format!("{HEADER_LENGTH_TEXT}; 0 if the body is the model's only input itself."),
        "schema": {"type": "integer", "minimum": 0},
    });
    let [timeout, id] = headers();
    let binary = json!({"schema": {"type": "string", "format": "binary"}});
    let answered = json!({JSON: {"schema": reference(signature, "inferred")}, OCTETS: binary});
    let length = json!({
        "Inference-Header-Content-Length": {
            "description": format!("{HEADER_LENGTH_TEXT}."),
            "schema": {"type": "integer", "minimum": 1},
        }
    });
    json!({
        "summary": format!("Ask {} by the Open Inference Protocol", signature.name),
        "description": "Tensors in JSON, binary tensors after it in declared order; or the only input alone.",
        "parameters": [header_length, timeout, id],
        "requestBody": {
            "required": true,
            "content": {JSON: {"schema": reference(signature, "infer")}, OCTETS: binary},
        },
        "responses": responses(&answered, &PREDICT_REFUSALS, "The requested outputs", &length),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_has_a_schema() {
        let signature = Signature {
            name: "weather".to_owned(),
            version: Some("1".to_owned()),
            platform: "onnx".to_owned(),
            labels: vec!["rain".to_owned(), "snow".to_owned()],
            softmax: false,
            max_items: 4,
        };
        let document = describe("rust serving", "1", &[signature]);
        let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
        let text = document.to_string();
        let references = text.split("\"#/components/schemas/").skip(1);
        for name in references.filter_map(|rest| rest.split('"').next()) {
            assert!(
                schemas.is_some_and(|schemas| schemas.contains_key(name)),
                "{name}"
            );
        }
        assert!(
            document
                .pointer("/paths/~1predict~1/post/responses/429/headers/Retry-After")
                .is_some()
        );
        assert!(
            describe("rust serving", "1", &[])
                .pointer("/paths/~1ping")
                .is_some()
        );
    }
}
