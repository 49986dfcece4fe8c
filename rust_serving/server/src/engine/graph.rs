//! What a graph takes and gives, compared with its manifest.

use ort::session::{Session, SessionInputValue};
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use super::{INPUT, Network, no_image};
use crate::start_error::StartError;

const DATATYPE: &str = "FP32";

/// Returns in words how the graph's inputs and outputs differ from the manifest's; "" if they do not.
pub(super) fn differences(network: Network, inputs: &[Outlet], outputs: &[Outlet]) -> String {
    let side = size(network.crop);
    let input = INPUT.to_string_lossy();
    let output = network.output();
    let mut wrong = Vec::new();
    if !matches!(inputs, [only] if only.name() == input) {
        wrong.push(format!(
            "its inputs are {}, the manifest's ['{input}']",
            names(inputs)
        ));
    }
    if !outputs.iter().any(|outlet| outlet.name() == output) {
        wrong.push(format!(
            "its outputs are {}, without the manifest's ['{output}']",
            names(outputs)
        ));
    }
    let shapes = [
        (inputs, &*input, vec![-1, 3, side, side], false),
        (outputs, output, vec![-1, size(network.classes)], true),
    ];
    for (outlets, name, wanted, is_output) in shapes {
        let found = outlets.iter().find(|outlet| outlet.name() == name);
        wrong.extend(
            found
                .filter(|outlet| !fits(outlet.dtype(), &wanted, is_output))
                .map(|outlet| {
                    format!(
                        "{name} is {}, the manifest's is {DATATYPE} {wanted:?}",
                        written(outlet.dtype())
                    )
                }),
        );
    }
    wrong.join("; ")
}

/// Computes the first example; the error says how its outputs differ from the manifest's.
pub(super) fn check_outputs(
    network: Network,
    session: &mut Session,
    example: &[f32],
) -> Result<(), StartError> {
    let side = network.crop;
    let mut run = || -> ort::Result<(bool, Vec<i64>)> {
        let input = TensorRef::from_array_view(([1, 3, side, side], example))?;
        let inputs = vec![(INPUT.to_string_lossy(), SessionInputValue::from(input))];
        let made = session.run(inputs)?;
        let Some(output) = made.get(network.output()) else {
            return Ok((false, Vec::new()));
        };
        let ValueType::Tensor { ty, shape, .. } = output.dtype() else {
            return Ok((false, Vec::new()));
        };
        Ok((*ty == TensorElementType::Float32, shape.to_vec()))
    };
    let (is_float, shape) = run().map_err(|error| no_image(network, &error.to_string()))?;
    let wanted = [1, size(network.classes)];
    if is_float && shape == wanted {
        return Ok(());
    }
    let kind = if is_float { "float32" } else { "no float32" };
    Err(StartError(format!(
        "output '{}' is {kind} {shape:?}, its manifest says {DATATYPE} {wanted:?}: publish the model and its \
         manifest again",
        network.output()
    )))
}

fn size(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn names(outlets: &[Outlet]) -> String {
    let quoted: Vec<String> = outlets
        .iter()
        .map(|outlet| format!("'{}'", outlet.name()))
        .collect();
    format!("[{}]", quoted.join(", "))
}

/// Tells whether the graph's tensor can be the wanted one; a size that one of them does not fix may be any.
fn fits(kind: &ValueType, wanted: &[i64], is_output: bool) -> bool {
    let ValueType::Tensor {
        ty: TensorElementType::Float32,
        shape,
        ..
    } = kind
    else {
        return false;
    };
    // an output of no known shape: the first answer shows it
    if shape.is_empty() && is_output {
        return true;
    }
    // images are computed one by one, so that a graph of one image will do
    let alone = shape.first().is_some_and(|first| matches!(first, -1 | 1));
    let same = |(known, size): (&i64, &i64)| *known == -1 || *size == -1 || known == size;
    alone && shape.len() == wanted.len() && wanted.iter().zip(shape.iter()).all(same)
}

/// Writes a tensor's datatype, as the protocol names it, and its sizes.
fn written(kind: &ValueType) -> String {
    let ValueType::Tensor { ty, shape, .. } = kind else {
        return format!("{kind:?}");
    };
    let name = match ty {
        TensorElementType::String => "BYTES",
        TensorElementType::Bool => "BOOL",
        TensorElementType::Uint8 => "UINT8",
        TensorElementType::Uint16 => "UINT16",
        TensorElementType::Uint32 => "UINT32",
        TensorElementType::Uint64 => "UINT64",
        TensorElementType::Int8 => "INT8",
        TensorElementType::Int16 => "INT16",
        TensorElementType::Int32 => "INT32",
        TensorElementType::Int64 => "INT64",
        TensorElementType::Float16 => "FP16",
        TensorElementType::Float32 => DATATYPE,
        TensorElementType::Float64 => "FP64",
        other => return format!("{other} {:?}", &shape[..]),
    };
    format!("{name} {:?}", &shape[..])
}
