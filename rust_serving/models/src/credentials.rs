//! Access to Google's stores: a token, or what the environment gives to ask for one.
//!
//! The order is that of Google's own libraries: `CLOUDSDK_AUTH_ACCESS_TOKEN`, the file that
//! `GOOGLE_APPLICATION_CREDENTIALS` names, the file of `gcloud auth application-default login`, the metadata
//! server of Google's machines.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::http::Request;
use url::form_urlencoded;

use crate::client::{Client, Route};
use crate::deadline::Deadline;
use crate::faults::{Fault, in_words, one_line};
use crate::key::SigningKey;

const READ_ONLY: &str = "https://www.googleapis.com/auth/devstorage.read_only";
const GOOGLE_TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
const NOT_FOUND: &str = "Your default credentials were not found. To set up Application Default Credentials, see \
                         https://cloud.google.com/docs/authentication/external/set-up-adc for more information.";
const METADATA_HOST: &str = "metadata.google.internal";
const METADATA_IP: &str = "169.254.169.254";
const METADATA_TRIES: u32 = 3;
/// How long the metadata server, which is near, may take to be found.
const METADATA_TIMEOUT_S: f64 = 3.0;
/// A token is not used so shortly before its end.
const SPARE: Duration = Duration::from_secs(225);

/// What is sent with a request, and where a token comes from.
pub(crate) struct Credentials {
    origin: Origin,
    quota_project: Option<String>,
    token: Option<(String, Option<Instant>)>,
}

enum Origin {
    Anonymous,
    Token(String),
    ServiceAccount {
        email: String,
        key: Box<SigningKey>,
        token_uri: String,
    },
    User {
        client_id: String,
        client_secret: String,
        refresh_token: String,
        token_uri: String,
    },
    Metadata,
}

impl Credentials {
    /// Nothing is sent, as to a stand-in.
    pub(crate) fn anonymous() -> Self {
        Self::of(Origin::Anonymous)
    }

    fn of(origin: Origin) -> Self {
        Self {
            origin,
            quota_project: None,
            token: None,
        }
    }

    /// Finds the environment's credentials; the fault says if they cannot be used or there are none.
    pub(crate) fn find(client: &Client, deadline: Deadline) -> Result<Self, Fault> {
        let given = env::var_os("CLOUDSDK_AUTH_ACCESS_TOKEN").unwrap_or_default();
        let given = given.to_string_lossy();
        let token = given.trim();
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Fault::start(
                "CLOUDSDK_AUTH_ACCESS_TOKEN is not an access token: set what gcloud prints, alone",
            ));
        }
        if !token.is_empty() {
            return Ok(Self::of(Origin::Token(token.to_owned())));
        }
        if let Some(named) = env::var_os("GOOGLE_APPLICATION_CREDENTIALS").filter(|name| !name.is_empty()) {
            return Self::read(Path::new(&named));
        }
        match login_file().filter(|path| path.is_file()) {
            Some(path) => Self::read(&path),
            None if on_google(client, deadline)? => Ok(Self::of(Origin::Metadata)),
            None => Err(Fault::refused(NOT_FOUND)),
        }
    }

    /// The headers to send; asks for a token if there is none that holds on.
    pub(crate) fn headers(
        &mut self,
        client: &Client,
        deadline: Deadline,
    ) -> Result<Vec<(&'static str, String)>, Fault> {
        if matches!(self.origin, Origin::Anonymous) {
            return Ok(Vec::new());
        }
        let holds = |(_, end): &(String, Option<Instant>)| end.is_none_or(|end| end > Instant::now() + SPARE);
        let (token, end) = match self.token.take().filter(holds) {
            Some(kept) => kept,
            None => self.fetch(client, deadline)?,
        };
        let mut headers = vec![("Authorization", format!("Bearer {token}"))];
        headers.extend(
            self.quota_project
                .iter()
                .map(|project| ("x-goog-user-project", project.clone())),
        );
        self.token = Some((token, end));
        Ok(headers)
    }

    fn read(path: &Path) -> Result<Self, Fault> {
        let shown = path.display();
        if !path.exists() {
            return Err(Fault::refused(format!("File {shown} was not found.")));
        }
        let text = fs::read(path).map_err(|error| {
            let why = in_words(&error);
            Fault::start(format!(
                "credentials file {shown}: {why}: make it readable for the service's user"
            ))
        })?;
        let info: Value = serde_json::from_slice(&text)
            .map_err(|_| Fault::refused(format!("File {shown} is not a valid json file.")))?;
        let origin = match info["type"].as_str() {
            Some("service_account") => service_account(&info, path)?,
            Some("authorized_user") => user(&info, path)?,
            other => {
                let kind = other.unwrap_or("None");
                return Err(Fault::refused_with(
                    format!("The file {shown} does not have a valid type. Type is {kind}"),
                    "give the key of a service account, or the file of gcloud auth application-default login",
                ));
            }
        };
        let project = env::var("GOOGLE_CLOUD_QUOTA_PROJECT")
            .ok()
            .filter(|project| !project.is_empty());
        let quota_project = project.or_else(|| info["quota_project_id"].as_str().map(str::to_owned));
        Ok(Self {
            quota_project,
            ..Self::of(origin)
        })
    }

    fn fetch(&self, client: &Client, deadline: Deadline) -> Result<(String, Option<Instant>), Fault> {
        let answer = match &self.origin {
            Origin::Anonymous => return Err(Fault::refused("there is no token")),
            Origin::Token(token) => return Ok((token.clone(), None)),
            Origin::ServiceAccount {
                email,
                key,
                token_uri,
            } => {
                let assertion = key.assertion(email, READ_ONLY);
                let assertion = assertion.ok_or_else(|| Fault::refused("the private key cannot sign"))?;
                let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                exchange(
                    client,
                    token_uri,
                    &[("assertion", &assertion), ("grant_type", grant)],
                    deadline,
                )?
            }
            Origin::User {
                client_id,
                client_secret,
                refresh_token,
                token_uri,
            } => {
                let fields = [
                    ("grant_type", "refresh_token"),
                    ("client_id", client_id),
                    ("client_secret", client_secret),
                    ("refresh_token", refresh_token),
                ];
                exchange(client, token_uri, &fields, deadline)?
            }
            Origin::Metadata => metadata_token(client, deadline)?,
        };
        let token = answer["access_token"].as_str();
        let token = token.ok_or_else(|| Fault::refused("No access token in response."))?;
        let lasts = &answer["expires_in"];
        let lasts = lasts
            .as_u64()
            .or_else(|| lasts.as_str().and_then(|text| text.parse().ok()));
        let end = lasts.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
        Ok((token.to_owned(), end))
    }
}

fn service_account(info: &Value, path: &Path) -> Result<Origin, Fault> {
    let email = field(info, "client_email", path)?;
    let token_uri = field(info, "token_uri", path)?;
    let key_id = info["private_key_id"].as_str().map(str::to_owned);
    let key = SigningKey::read(&field(info, "private_key", path)?, key_id);
    let key = key.ok_or_else(|| {
        let shown = path.display();
        Fault::refused(format!(
            "Failed to load service account credentials from {shown}, its private_key is not an RSA key in PEM"
        ))
    })?;
    Ok(Origin::ServiceAccount {
        email,
        key: Box::new(key),
        token_uri,
    })
}

fn user(info: &Value, path: &Path) -> Result<Origin, Fault> {
    let token_uri = info["token_uri"].as_str().unwrap_or(GOOGLE_TOKEN_URI).to_owned();
    Ok(Origin::User {
        client_id: field(info, "client_id", path)?,
        client_secret: field(info, "client_secret", path)?,
        refresh_token: field(info, "refresh_token", path)?,
        token_uri,
    })
}

fn field(info: &Value, name: &str, path: &Path) -> Result<String, Fault> {
    let value = info[name]
        .as_str()
        .filter(|value| !value.is_empty())
        .map(str::to_owned);
    value.ok_or_else(|| {
        let (shown, kind) = (
            path.display(),
            info["type"].as_str().unwrap_or("").replace('_', " "),
        );
        Fault::refused(format!(
            "Failed to load {kind} credentials from {shown}, missing fields {name}"
        ))
    })
}

/// Where `gcloud auth application-default login` writes.
fn login_file() -> Option<PathBuf> {
    let folder = match env::var_os("CLOUDSDK_CONFIG") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env::var_os("HOME")?).join(".config").join("gcloud"),
    };
    Some(folder.join("application_default_credentials.json"))
}

/// Exchanges a grant for a token.
fn exchange(
    client: &Client,
    token_uri: &str,
    fields: &[(&str, &str)],
    deadline: Deadline,
) -> Result<Value, Fault> {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let request = Request::post(token_uri)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body)
        .map_err(|_| Fault::refused("the credentials' token_uri is malformed"))?;
    // by http a token comes only from this machine, as in a test
    let route = if token_uri.starts_with("https:") {
        Route::Proxied
    } else {
        Route::Direct
    };
    let answer = client.send(request, route, deadline)?;
    let status = answer.status();
    let body = answer.into_short_body()?;
    if matches!(status, 408 | 429 | 500..) {
        return Err(Fault::Transient(format!(
            "the token's server answers with HTTP status {status}"
        )));
    }
    let json: Option<Value> = serde_json::from_slice(&body).ok();
    if status == 200 {
        return json.ok_or_else(|| Fault::refused("No access token in response."));
    }
    let said = json.as_ref().and_then(|json| {
        let description = json["error_description"].as_str().unwrap_or("None");
        json["error"]
            .as_str()
            .map(|error| format!("{error}: {description}"))
    });
    Err(Fault::refused(one_line(
        &said.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned()),
    )))
}

/// Whether this is a machine of Google's, whose metadata server gives tokens.
fn on_google(client: &Client, deadline: Deadline) -> Result<bool, Fault> {
    if env::var("NO_GCE_CHECK").is_ok_and(|set| set == "true") {
        return Ok(false);
    }
    let address = format!(
        "http://{}/",
        variable(&["GCE_METADATA_IP"]).as_deref().unwrap_or(METADATA_IP)
    );
    for _ in 0..METADATA_TRIES {
        match ask_metadata(
            client,
            &address,
            deadline.left().as_secs_f64().min(METADATA_TIMEOUT_S),
        ) {
            Ok(answer) => {
                let google = answer
                    .header("metadata-flavor")
                    .is_some_and(|flavor| flavor == "Google");
                return Ok(answer.status() == 200 && google);
            }
            Err(_) if deadline.left().is_zero() => return Err(Fault::TimeOver),
            Err(_) => {}
        }
    }
    let product = fs::read_to_string("/sys/class/dmi/id/product_name").unwrap_or_default();
    Ok(product.trim().starts_with("Google"))
}

fn metadata_token(client: &Client, deadline: Deadline) -> Result<Value, Fault> {
    let host = variable(&["GCE_METADATA_HOST", "GCE_METADATA_ROOT"]);
    let host = host.as_deref().unwrap_or(METADATA_HOST);
    let path = "computeMetadata/v1/instance/service-accounts/default/token";
    let scope = form_urlencoded::Serializer::new(String::new())
        .append_pair("scopes", READ_ONLY)
        .finish();
    let seconds = deadline.left().as_secs_f64();
    let answer = ask_metadata(client, &format!("http://{host}/{path}?{scope}"), seconds)?;
    let status = answer.status();
    let body = answer.into_short_body()?;
    match status {
        200 => serde_json::from_slice(&body).map_err(|_| {
            Fault::Transient(
                "Received invalid JSON from the Google Compute Engine metadata service".to_owned(),
            )
        }),
        404 => Err(Fault::refused("the machine has no service account")),
        _ => Err(Fault::Transient(format!(
            "the metadata server answers with HTTP status {status}"
        ))),
    }
}

/// Asks the metadata server, which no proxy stands before.
fn ask_metadata(client: &Client, address: &str, seconds: f64) -> Result<crate::client::Answer, Fault> {
    let request = Request::get(address)
        .header("Metadata-Flavor", "Google")
        .body(())
        .map_err(|_| Fault::refused("the address of the metadata server is malformed"))?;
    client.send(request, Route::Direct, Deadline::after(seconds))
}

/// The first of some variables that is set.
fn variable(names: &[&str]) -> Option<String> {
    names
        .iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
}
