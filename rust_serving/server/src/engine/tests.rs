use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const FLOAT: u64 = 1;
const DOUBLE: u64 = 11;
const CROP: usize = 4;
const NETWORK: Network = Network {
    crop: CROP,
    classes: 3,
    softmax: false,
};

/// Writes the protocol buffers of an ONNX graph.
#[derive(Default, Clone)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap());
    }

    fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn part(self, field: u64, part: &Message) -> Self {
        self.bytes(field, &part.0)
    }
}

fn value(name: &str, kind: u64, sizes: &[i64]) -> Message {
    let shape = sizes.iter().fold(Message::default(), |shape, size| {
        let dim = match u64::try_from(*size) {
            Ok(size) => Message::default().number(1, size),
            Err(_) => Message::default().bytes(2, b"batch"),
        };
        shape.part(1, &dim)
    });
    let tensor = Message::default().number(1, kind).part(2, &shape);
    Message::default()
        .bytes(1, name.as_bytes())
        .part(2, &Message::default().part(1, &tensor))
}

/// A graph whose output is its input's mean over height and width, through an operator that may follow.
fn graph(input: &Message, input_name: &str, output: &Message, output_name: &str, then: &str) -> Vec<u8> {
    let axes = Message::default()
        .bytes(1, b"axes")
        .number(8, 2)
        .number(8, 3)
        .number(20, 7);
    let keep = Message::default()
        .bytes(1, b"keepdims")
        .number(3, 0)
        .number(20, 2);
    let mean = Message::default()
        .bytes(1, input_name.as_bytes())
        .bytes(2, b"mean")
        .bytes(4, b"ReduceMean");
    let last = Message::default()
        .bytes(1, b"mean")
        .bytes(2, output_name.as_bytes())
        .bytes(4, then.as_bytes());
    let graph = Message::default()
        .part(1, &mean.part(5, &axes).part(5, &keep))
        .part(1, &last)
        .bytes(2, b"graph")
        .part(11, input)
        .part(12, output);
    let opset = Message::default().bytes(1, b"").number(2, 13);
    Message::default().number(1, 8).part(8, &opset).part(7, &graph).0
}

fn mean_graph() -> Vec<u8> {
    graph(
        &value("input", FLOAT, &[-1, 3, 4, 4]),
        "input",
        &value("logits", FLOAT, &[-1, 3]),
        "logits",
        "Identity",
    )
}

fn file(content: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.onnx");
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

/// Tells whether the library is there; where it is not, what needs it is not tested.
fn has_library() -> bool {
    let there = std::env::var_os("ORT_DYLIB_PATH").is_some();
    if !there {
        eprintln!("not tested: set ORT_DYLIB_PATH to the path of libonnxruntime.so");
    }
    there
}

fn refusal(content: &[u8], network: Network) -> String {
    let (_folder, path) = file(content);
    let refused = Engine::load(&path, network).and_then(|engine| engine.warm());
    refused.expect_err("this graph is not served").0
}

#[test]
fn a_network_computes_on_many_threads_at_once() {
    if !has_library() {
        return;
    }
    let (_folder, path) = file(&mean_graph());
    let engine = Arc::new(Engine::load(&path, NETWORK).unwrap());
    engine.warm().unwrap();
    assert_eq!(engine.input_len(), 48);
    let threads: Vec<_> = (0..4_u16)
        .map(|number| {
            let engine = Arc::clone(&engine);
            thread::spawn(move || {
                for turn in 0..500_u16 {
                    let level = f32::from(number * 1000 + turn);
                    let input: Vec<f32> = [level, level + 1.0, -level]
                        .into_iter()
                        .flat_map(|value| [value; 16])
                        .collect();
                    assert_eq!(engine.predict(&input).unwrap(), [level, level + 1.0, -level]);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn an_input_of_another_length_is_an_error() {
    if !has_library() {
        return;
    }
    let (_folder, path) = file(&mean_graph());
    let engine = Engine::load(&path, NETWORK).unwrap();
    assert!(engine.predict(&[0.0; 47]).is_err());
    assert!(engine.predict(&[]).is_err());
}

#[test]
fn a_graph_that_is_not_the_manifests_is_refused() {
    if !has_library() {
        return;
    }
    let input = value("input", FLOAT, &[-1, 3, 4, 4]);
    let logits = value("logits", FLOAT, &[-1, 3]);
    let same = "network.onnx differs from its manifest (";
    let remedy = "): publish the graph and its manifest again";
    let cases = [
        (
            graph(
                &value("image", FLOAT, &[-1, 3, 4, 4]),
                "image",
                &logits,
                "logits",
                "Identity",
            ),
            NETWORK,
            "its inputs are ['image'], the manifest's ['input']",
        ),
        (
            graph(
                &input,
                "input",
                &value("scores", FLOAT, &[-1, 3]),
                "scores",
                "Identity",
            ),
            NETWORK,
            "its outputs are ['scores'], without the manifest's ['logits']",
        ),
        (
            graph(
                &value("input", DOUBLE, &[-1, 3, 4, 4]),
                "input",
                &value("logits", DOUBLE, &[-1, 3]),
                "logits",
                "Identity",
            ),
            NETWORK,
            "input is FP64 [-1, 3, 4, 4], the manifest's is FP32 [-1, 3, 4, 4]; \
             logits is FP64 [-1, 3], the manifest's is FP32 [-1, 3]",
        ),
        (
            mean_graph(),
            Network { crop: 5, ..NETWORK },
            "input is FP32 [-1, 3, 4, 4], the manifest's is FP32 [-1, 3, 5, 5]",
        ),
        (
            mean_graph(),
            Network {
                classes: 11,
                ..NETWORK
            },
            "logits is FP32 [-1, 3], the manifest's is FP32 [-1, 11]",
        ),
        (
            mean_graph(),
            Network {
                softmax: true,
                ..NETWORK
            },
            "its outputs are ['logits'], without the manifest's ['probabilities']",
        ),
    ];
    for (content, network, wrong) in cases {
        assert_eq!(refusal(&content, network), format!("{same}{wrong}{remedy}"));
    }
}

#[test]
fn what_is_no_graph_is_refused_in_one_line() {
    if !has_library() {
        return;
    }
    for content in [&b""[..], b"no graph", &mean_graph()[..40]] {
        let told = refusal(content, NETWORK);
        assert!(
            told.starts_with("network.onnx is not a graph that ONNX Runtime can open ("),
            "{told}"
        );
        assert!(
            told.ends_with("publish the model again, or give ONNX_NETWORK_URI the address of a graph"),
            "{told}"
        );
        assert!(!told.contains('\n'), "{told}");
    }
    assert!(Engine::load(Path::new("/nowhere/network.onnx"), NETWORK).is_err());
}

#[test]
fn probabilities_come_from_the_network_if_the_manifest_says_so() {
    if !has_library() {
        return;
    }
    let input = value("input", FLOAT, &[-1, 3, 4, 4]);
    let output = value("probabilities", FLOAT, &[-1, 3]);
    let network = Network {
        softmax: true,
        ..NETWORK
    };
    let (_folder, path) = file(&graph(&input, "input", &output, "probabilities", "Softmax"));
    let engine = Engine::load(&path, network).unwrap();
    engine.warm().unwrap();
    assert_eq!(
        engine.finish(&[0.25, 0.5, 0.25]),
        Some(Ranked {
            probabilities: vec![0.25, 0.5, 0.25],
            label: 1
        })
    );
    let told = refusal(
        &graph(&input, "input", &output, "probabilities", "Identity"),
        network,
    );
    assert!(told.starts_with("the model's probabilities sum to "), "{told}");
    assert!(
        told.ends_with(": publish it without softmax in its manifest"),
        "{told}"
    );
}

#[test]
fn probabilities_are_the_softmax_and_the_first_highest_is_the_label() {
    let made = softmax(&[1.0, 3.0, 2.0]);
    let sum = 1.0 + (-1.0_f64).exp() + (-2.0_f64).exp();
    assert_eq!(made, [(-2.0_f64).exp() / sum, 1.0 / sum, (-1.0_f64).exp() / sum]);
    assert_eq!(first_highest(&[0.1, 0.4, 0.4]), Some(1));
    assert_eq!(first_highest(&[]), None);
    assert!(softmax(&[f64::NAN, 1.0]).iter().any(|value| value.is_nan()));
    assert!(softmax(&[f64::INFINITY, 1.0]).iter().any(|value| value.is_nan()));
    assert_eq!(softmax(&[f64::NEG_INFINITY, 1.0]), [0.0, 1.0]);
}

#[test]
fn numbers_in_messages_are_short() {
    assert_eq!(
        [11.0, 1.5, 3.1379, 0.001_234_5].map(three_digits),
        ["11", "1.5", "3.14", "0.00123"]
    );
}

#[test]
fn an_example_has_values_of_normalised_pixels() {
    let made = example(Network { crop: 32, ..NETWORK });
    assert_eq!(made.len(), 3 * 32 * 32);
    assert!(made.iter().all(|value| (-2.0..=2.0).contains(value)));
    assert!(made.iter().any(|value| *value > 1.0) && made.iter().any(|value| *value < -1.0));
    assert_eq!(made, example(Network { crop: 32, ..NETWORK }));
}

proptest! {
    #[test]
    fn finite_logits_give_probabilities(logits in proptest::collection::vec(-1e30_f64..1e30, 1..40)) {
        let made = softmax(&logits);
        prop_assert!(made.iter().all(|value| (0.0..=1.0).contains(value)));
        prop_assert!((made.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let label = first_highest(&made).unwrap();
        prop_assert!(logits.iter().all(|logit| *logit <= logits[label]));
    }
}
