//! The manifest: a model's name, and what an image classifier must say of itself.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::fields::{self, Faults};
use crate::quoted::quoted;
use crate::start_error::StartError;

const NAME_FORM: &str = "input should be letters, digits, '.', '_' and '-', a letter or digit first";
const DIGEST_FORM: &str = "input should be 64 hexadecimal digits";
const DEFAULT_TOLERANCE: f64 = 0.05;
const MOST_PIXELS: i64 = 4096;
const SERVES: &str = "rust_serving serves image classifiers alone";

/// How pixels between the given ones are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// By straight lines.
    Bilinear,
    /// By cubic curves.
    Bicubic,
}

/// The reference transform: sizes in pixels, and statistics for each channel on a scale of 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transform {
    /// The length of the shortest side.
    pub resize: u32,
    /// The side of the square in the middle, at most `resize`.
    pub crop: u32,
    /// How the image is resized; it is always antialiased.
    pub interpolation: Interpolation,
    /// What is subtracted from red, green and blue.
    pub mean: [f32; 3],
    /// What they are divided by then.
    pub std: [f32; 3],
}

/// The document that is published beside the file of an image classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The model's name, which is a part of paths.
    pub name: String,
    /// The model's version, `None` if it has none.
    pub version: Option<String>,
    /// The classes, at least two that differ from one another.
    pub labels: Vec<String>,
    /// What is done to an image before the network sees it.
    pub transform: Transform,
    /// Whether the network itself gives probabilities.
    pub softmax: bool,
    /// By how much a logit may differ from the reference's.
    pub logit_tolerance: f64,
    /// The listed files and their hexadecimal sha256.
    pub sha256: Vec<(String, String)>,
}

/// A manifest of any kind; only what all kinds share has been read.
pub(crate) struct Document {
    name: String,
    version: Option<String>,
    pub(crate) sha256: Vec<(String, String)>,
    fields: Map<String, Value>,
    /// The address from which it was read, without secrets.
    pub(crate) source: String,
}

impl Document {
    /// Reads a manifest's JSON; the error names `source` and each wrong field.
    pub(crate) fn read(text: &[u8], source: &str) -> Result<Self, StartError> {
        let document: Value = serde_json::from_slice(text).map_err(|error| {
            StartError(format!("{source} is not JSON ({error}): publish the model again"))
        })?;
        let mut faults = Faults::default();
        match Self::from_json(&document, source, &mut faults) {
            Some(read) if faults.is_empty() => Ok(read),
            _ => Err(no_manifest(source, &faults)),
        }
    }

    fn from_json(document: &Value, source: &str, faults: &mut Faults) -> Option<Self> {
        let fields = fields::object(document, "", faults)?;
        let name = fields::required(fields, "", "name", faults, name_in);
        let version = match fields.get("version") {
            None | Some(Value::Null) => Some(None),
            Some(value) => name_in(value, "version", faults).map(Some),
        };
        let sha256 = fields
            .get("files")
            .map_or_else(|| Some(Vec::new()), |files| digests(files, faults));
        Some(Self {
            name: name?,
            version: version?,
            sha256: sha256?,
            fields: fields.clone(),
            source: source.to_owned(),
        })
    }

    /// Reads the fields of an image classifier; the error says if the model is of another kind, or names each
    /// wrong field.
    pub(crate) fn into_classifier(self) -> Result<Manifest, StartError> {
        self.refuse_other_kinds()?;
        let mut faults = Faults::default();
        let fields = &self.fields;
        match fields.get("architecture") {
            None | Some(Value::Null) => {}
            Some(value) => {
                if fields::text(value, "architecture", &mut faults) == Some("") {
                    faults.add("architecture", "string should have at least 1 character");
                }
            }
        }
        let labels = fields::required(fields, "", "labels", &mut faults, labels_in);
        let transform = fields::required(fields, "", "transform", &mut faults, transform_in);
        let tolerance = fields
            .get("logit_tolerance")
            .map_or(Some(DEFAULT_TOLERANCE), |value| {
                fields::above_zero(value, "logit_tolerance", &mut faults)
            });
        let softmax = fields.get("softmax");
        let softmax = softmax.map_or(Some(false), |value| {
            fields::boolean(value, "softmax", &mut faults)
        });
        let differ = |labels: &[String]| labels.iter().collect::<HashSet<_>>().len() == labels.len();
        if faults.is_empty() && labels.as_deref().is_some_and(|labels| !differ(labels)) {
            faults.add("", "labels must differ from one another");
        }
        match (labels, transform, tolerance, softmax) {
            (Some(labels), Some(transform), Some(logit_tolerance), Some(softmax)) if faults.is_empty() => {
                let (name, version, sha256) = (self.name, self.version, self.sha256);
                Ok(Manifest {
                    name,
                    version,
                    labels,
                    transform,
                    softmax,
                    logit_tolerance,
                    sha256,
                })
            }
            _ => Err(no_manifest(&self.source, &faults)),
        }
    }

    /// A manifest that names no kind but labels is an older one, of an image classifier.
    fn refuse_other_kinds(&self) -> Result<(), StartError> {
        let source = &self.source;
        let (wrong, remedy) = match self.fields.get("kind") {
            None if self.fields.contains_key("labels") => return Ok(()),
            Some(Value::String(kind)) if kind == "image" => return Ok(()),
            Some(Value::String(kind)) if kind == "tensors" => (
                format!("has the kind {}", quoted(kind)),
                format!("{SERVES}: serve this model with onnx_serving"),
            ),
            given => {
                let wrong = match given {
                    None | Some(Value::Null) => "names no kind".to_owned(),
                    Some(Value::String(kind)) => format!("has the kind {}", quoted(kind)),
                    Some(other) => format!("has the kind {other}"),
                };
                let remedy = format!(
                    "{SERVES}: publish the model with kind 'image', \
                     or serve it with onnx_serving and the class that HANDLER names"
                );
                (wrong, remedy)
            }
        };
        Err(StartError(format!("{source} {wrong}, and {remedy}")))
    }
}

fn no_manifest(source: &str, faults: &Faults) -> StartError {
    StartError(format!(
        "{source} is not this model's manifest ({}): publish the model again",
        faults.joined()
    ))
}

/// Reads a name or version, which are parts of paths.
fn name_in(value: &Value, path: &str, faults: &mut Faults) -> Option<String> {
    let text = fields::text(value, path, faults)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(plain) {
        return Some(text.to_owned());
    }
    faults.add(path, NAME_FORM);
    None
}

fn digests(files: &Value, faults: &mut Faults) -> Option<Vec<(String, String)>> {
    let Some(files) = files.as_object() else {
        faults.add("files", "input should be a valid dictionary");
        return None;
    };
    let entry = |(name, entry): (&String, &Value)| {
        let path = format!("files.{name}");
        let entry = fields::object(entry, &path, faults)?;
        let digest = fields::required(entry, &format!("{path}."), "sha256", faults, digest_in)?;
        Some((name.clone(), digest))
    };
    // every entry is read, so that every fault is named
    let read: Vec<_> = files.iter().map(entry).collect();
    read.into_iter().collect()
}

fn digest_in(value: &Value, path: &str, faults: &mut Faults) -> Option<String> {
    let text = fields::text(value, path, faults)?;
    if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Some(text.to_owned());
    }
    faults.add(path, DIGEST_FORM);
    None
}

fn labels_in(value: &Value, path: &str, faults: &mut Faults) -> Option<Vec<String>> {
    let items = fields::list(value, path, faults)?;
    let label = |(at, item)| fields::text(item, &format!("{path}.{at}"), faults).map(str::to_owned);
    // every label is read, so that every fault is named
    let read: Vec<Option<String>> = items.iter().enumerate().map(label).collect();
    let count = read.iter().flatten().count();
    if count < 2 {
        faults.add(
            path,
            &format!("tuple should have at least 2 items after validation, not {count}"),
        );
    }
    read.into_iter().collect()
}

fn transform_in(value: &Value, path: &str, faults: &mut Faults) -> Option<Transform> {
    let fields = fields::object(value, path, faults)?;
    let within = format!("{path}.");
    let resize = fields::required(fields, &within, "resize", faults, side_in);
    let crop = fields::required(fields, &within, "crop", faults, side_in);
    let interpolation = fields::required(fields, &within, "interpolation", faults, interpolation_in);
    let antialias = fields::required(fields, &within, "antialias", faults, is_true);
    let mean = fields::required(fields, &within, "mean", faults, |value, path, faults| {
        fields::three(value, fields::real, path, faults)
    });
    let std = fields::required(fields, &within, "std", faults, |value, path, faults| {
        fields::three(value, fields::above_zero, path, faults)
    });
    let (resize, crop, interpolation) = (resize?, crop?, interpolation?);
    let (mean, std) = (mean?.map(single), std?.map(single));
    antialias?;
    if crop > resize {
        faults.add(path, &format!("crop {crop} is larger than resize {resize}"));
        return None;
    }
    Some(Transform {
        resize,
        crop,
        interpolation,
        mean,
        std,
    })
}

fn side_in(value: &Value, path: &str, faults: &mut Faults) -> Option<u32> {
    u32::try_from(fields::whole(value, (1, MOST_PIXELS), path, faults)?).ok()
}

fn interpolation_in(value: &Value, path: &str, faults: &mut Faults) -> Option<Interpolation> {
    match value.as_str() {
        Some("bilinear") => Some(Interpolation::Bilinear),
        Some("bicubic") => Some(Interpolation::Bicubic),
        _ => {
            faults.add(path, "input should be 'bilinear' or 'bicubic'");
            None
        }
    }
}

fn is_true(value: &Value, path: &str, faults: &mut Faults) -> Option<()> {
    // the Python services take 1 for it
    if *value == Value::Bool(true) || value.as_f64() == Some(1.0) {
        return Some(());
    }
    faults.add(path, "input should be True");
    None
}

#[expect(clippy::cast_possible_truncation, reason = "pixels are single precision too")]
fn single(number: f64) -> f32 {
    number as f32
}
