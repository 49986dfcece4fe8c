//! The metadata of the Open Inference Protocol: of the server, and of a model.

use crate::signature::{INPUT, Output, Signature};

/// Return the JSON that `GET /v2` answers.
#[must_use]
pub fn server_metadata(name: &str, version: &str) -> Vec<u8> {
    let (name, version) = (quoted(name), quoted(version));
    format!(r#"{{"name":{name},"version":{version},"extensions":["binary_tensor_data"]}}"#).into_bytes()
}

/// Return the JSON that `GET /v2/models/{model}` answers.
///
/// A tensor's shape is `[-1, ...]`: the batch's dimension is in front.
#[must_use]
pub fn model_metadata(signature: &Signature) -> Vec<u8> {
    let (name, platform) = (quoted(&signature.name), quoted(&signature.platform));
    let versions = signature.version.as_deref().map(quoted).unwrap_or_default();
    let input = tensor(INPUT, "BYTES", "[-1]");
    let classes = format!("[-1,{}]", signature.labels.len());
    let outputs: Vec<String> = signature
        .outputs()
        .iter()
        .map(|output| {
            let shape = if *output == Output::Label {
                "[-1]"
            } else {
                classes.as_str()
            };
            tensor(output.name(), output.datatype(), shape)
        })
        .collect();
    let outputs = outputs.join(",");
    format!(
        r#"{{"name":{name},"versions":[{versions}],"platform":{platform},"inputs":[{input}],"outputs":[{outputs}]}}"#
    )
    .into_bytes()
}

fn tensor(name: &str, datatype: &str, shape: &str) -> String {
    format!(r#"{{"name":"{name}","datatype":"{datatype}","shape":{shape}}}"#)
}

/// Return a text as a JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
