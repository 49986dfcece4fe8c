//! The routes: which path means what, and which methods it takes.

/// A path that predicts: `route` is its pattern; `model` is None for the first; `oip` marks the Open Inference Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PredictPath<'a> {
    /// The pattern.
    pub route: &'static str,
    /// The model's name.
    pub model: Option<&'a str>,
    /// The model's version.
    pub version: Option<&'a str>,
    /// Whether the request is one of the Open Inference Protocol.
    pub oip: bool,
}

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'a> {
    /// `/`
    Root,
    /// `/ping` and `/v2/health/live`; the pattern.
    Live(&'static str),
    /// `/v2/health/ready`
    Ready,
    /// `/metrics`
    Metrics,
    /// `/api-description`
    Description,
    /// `/v2`
    Server,
    /// What a model takes and gives.
    Model(&'static str, &'a str, Option<&'a str>),
    /// Whether a model is served.
    ModelReady(&'static str, &'a str, Option<&'a str>),
}

/// The path of the `OpenAPI` document.
pub const DESCRIPTION: &str = "/api-description";
/// The pattern that stands for every path that is not a route.
pub const OTHER: &str = "other";

/// Returns the target of a POST to `path`; None if the path does not predict.
pub fn predicts(path: &str) -> Option<PredictPath<'_>> {
    if path == "/predict" || path == "/predict/" {
        return Some(PredictPath {
            route: "/predict/",
            model: None,
            version: None,
            oip: false,
        });
    }
    let mut parts = path.split('/');
    let parts: [Option<&str>; 8] = std::array::from_fn(|_| parts.next());
    match parts {
        [Some(""), Some(model), Some("predict"), None | Some(""), None, ..] if !model.is_empty() => {
            Some(PredictPath {
                route: "/{model}/predict",
                model: Some(model),
                version: None,
                oip: false,
            })
        }
        [
            Some(""),
            Some("v2"),
            Some("models"),
            Some(model),
            Some("infer"),
            None,
            ..,
        ] if !model.is_empty() => {
            let route = "/v2/models/{model}/infer";
            Some(PredictPath {
                route,
                model: Some(model),
                version: None,
                oip: true,
            })
        }
        [
            Some(""),
            Some("v2"),
            Some("models"),
            Some(model),
            Some("versions"),
            Some(version),
            Some("infer"),
            None,
        ] if !model.is_empty() && !version.is_empty() => {
            let route = "/v2/models/{model}/versions/{version}/infer";
            Some(PredictPath {
                route,
                model: Some(model),
                version: Some(version),
                oip: true,
            })
        }
        _ => None,
    }
}

/// Returns what a GET of `path` asks for; None if it is not a route that GET reads.
pub fn asks(path: &str) -> Option<Asked<'_>> {
    Some(match path {
        "/" => Asked::Root,
        "/ping" => Asked::Live("/ping"),
        "/v2/health/live" => Asked::Live("/v2/health/live"),
        "/v2/health/ready" => Asked::Ready,
        "/metrics" => Asked::Metrics,
        DESCRIPTION => Asked::Description,
        "/v2" => Asked::Server,
        _ => return asks_model(path.strip_prefix("/v2/models/")?),
    })
}

fn asks_model(rest: &str) -> Option<Asked<'_>> {
    let mut parts = rest.split('/');
    let parts: [Option<&str>; 5] = std::array::from_fn(|_| parts.next());
    match parts {
        [Some(model), None, ..] if !model.is_empty() => Some(Asked::Model("/v2/models/{model}", model, None)),
        [Some(model), Some("ready"), None, ..] if !model.is_empty() => {
            Some(Asked::ModelReady("/v2/models/{model}/ready", model, None))
        }
        [
            Some(model),
            Some("versions"),
            Some(version),
            last @ (None | Some("ready")),
            None,
        ] if !model.is_empty() && !version.is_empty() => Some(if last.is_none() {
            Asked::Model("/v2/models/{model}/versions/{version}", model, Some(version))
        } else {
            let route = "/v2/models/{model}/versions/{version}/ready";
            Asked::ModelReady(route, model, Some(version))
        }),
        _ => None,
    }
}

impl Asked<'_> {
    /// The pattern of the path.
    pub fn route(&self) -> &'static str {
        match self {
            Self::Root => "/",
            Self::Ready => "/v2/health/ready",
            Self::Metrics => "/metrics",
            Self::Description => DESCRIPTION,
            Self::Server => "/v2",
            Self::Live(route) | Self::Model(route, ..) | Self::ModelReady(route, ..) => route,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_predict_are_known_by_their_parts() {
        let found =
            |path| predicts(path).map(|target| (target.route, target.model, target.version, target.oip));
        assert_eq!(found("/predict"), Some(("/predict/", None, None, false)));
        assert_eq!(
            found("/m/predict/"),
            Some(("/{model}/predict", Some("m"), None, false))
        );
        assert_eq!(
            found("/v2/models/m/infer"),
            Some(("/v2/models/{model}/infer", Some("m"), None, true))
        );
        let versioned = found("/v2/models/m/versions/1/infer");
        assert_eq!(
            versioned.map(|(_, model, version, _)| (model, version)),
            Some((Some("m"), Some("1")))
        );
        for path in [
            "/",
            "//predict",
            "/m/predict//",
            "/v2/models//infer",
            "/v2/models/m/infer/",
            "predict",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn paths_that_tell_are_known_by_their_parts() {
        assert_eq!(
            asks("/v2/models/m"),
            Some(Asked::Model("/v2/models/{model}", "m", None))
        );
        assert_eq!(
            asks("/v2/models/m/versions/1/ready").map(|asked| asked.route().len()),
            Some(43)
        );
        for path in [
            "",
            "/v2/",
            "/v2/models/",
            "/v2/models/m/",
            "/v2/models/m/versions",
            "/nowhere",
        ] {
            assert_eq!(asks(path), None, "{path}");
        }
    }
}
