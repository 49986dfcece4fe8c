//! From an accepted request to its answer: the stages of one model, each timed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use codecs::{Answer, Call, Outcome, Outputs, Parse, Refusal, Signature};
use pixels::Transform;

use crate::admission::Place;
use crate::engine::{Engine, NOT_FINITE, Ranked, Uncomputable};
use crate::faults::caught;
use crate::memory::{DecodingMemory, NoMemory};
use crate::metrics::{ModelMetrics, Stage};
use crate::refusals::expired;
use crate::workers::{Job, Workers, note_progress};

/// Items with more pixels than this, on average, count as more items in the queue.
const PLACE_PIXELS: u64 = 4_000_000;

/// What computes a model's network; in the service an [`Engine`].
pub trait Network: Send + Sync {
    /// The number of floats of an input.
    fn input_len(&self) -> usize;

    /// Returns the scores of one input.
    ///
    /// # Errors
    /// If the network cannot compute it.
    fn predict(&self, input: &[f32]) -> Result<Vec<f32>, Uncomputable>;

    /// Returns probabilities and label for scores; None if they are not finite.
    fn finish(&self, scores: &[f32]) -> Option<Ranked>;
}

impl Network for Engine {
    fn input_len(&self) -> usize {
        Engine::input_len(self)
    }

    fn predict(&self, input: &[f32]) -> Result<Vec<f32>, Uncomputable> {
        Engine::predict(self, input)
    }

    fn finish(&self, scores: &[f32]) -> Option<Ranked> {
        Engine::finish(self, scores)
    }
}

/// One accepted request.
pub struct Work {
    /// How its body is parsed.
    pub parse: Parse,
    /// The body.
    pub body: Bytes,
    /// When it was accepted.
    pub arrived: Instant,
    /// When its answer must be there.
    pub due: Instant,
    /// Its name in the log.
    pub request_id: String,
    /// Whether its client is gone.
    pub abandoned: Arc<AtomicBool>,
}

/// Why a request gets no answer.
#[derive(Debug, PartialEq)]
pub enum Stop {
    /// It is refused.
    Refused(Refusal),
    /// The client is gone, and the request was not computed.
    Dropped,
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Work {
    /// Checks that somebody still waits for the answer.
    ///
    /// # Errors
    /// If the client is gone, and 504 if the deadline has passed.
    pub fn check_wanted(&self) -> Result<(), Stop> {
        if self.abandoned.load(Ordering::Acquire) {
            return Err(Stop::Dropped);
        }
        if Instant::now() > self.due {
            return Err(Stop::Refused(expired()));
        }
        Ok(())
    }

    /// Tells whether somebody still waits for the answer; this thread counts as making progress.
    fn wanted(&self) -> bool {
        note_progress();
        self.check_wanted().is_ok()
    }
}

/// The stages of one model.
pub struct Pipeline {
    /// What the codecs know about the model.
    pub signature: Signature,
    /// Its counts and times.
    pub metrics: ModelMetrics,
    network: Box<dyn Network>,
    transform: Transform,
    limits: PixelLimits,
    memory: DecodingMemory,
}

/// The most pixels of one image and of a request's images together.
#[derive(Debug, Clone, Copy)]
pub struct PixelLimits {
    /// Of one image.
    pub image: u64,
    /// Of a request of several.
    pub request: u64,
}

enum Begun {
    Answered(Answer),
    Several(Call, u64),
}

impl Pipeline {
    /// Returns the pipeline of a network that is warm.
    pub fn new(
        signature: Signature,
        metrics: ModelMetrics,
        network: Box<dyn Network>,
        transform: Transform,
        limits: PixelLimits,
        memory: DecodingMemory,
    ) -> Self {
        Self {
            signature,
            metrics,
            network,
            transform,
            limits,
            memory,
        }
    }

    /// Returns the encoded answer; each item is computed from beginning to end on one thread, and the items of one
    /// request take turns with other requests.
    ///
    /// # Errors
    /// If the request is refused, or if its client is gone.
    pub async fn answer(
        self: &Arc<Self>,
        workers: &Workers,
        work: Work,
        place: &mut Place,
    ) -> Result<Answer, Stop> {
        let work = Arc::new(work);
        let (pipeline, order) = (Arc::clone(self), Arc::clone(&work));
        let begun = workers.submit(move || pipeline.begin(&order)).await;
        match begun.unwrap_or_else(|failed| Err(failure(&work.request_id, &failed.0).into()))? {
            Begun::Answered(answer) => Ok(answer),
            Begun::Several(call, pixels) => {
                place.claim(places(call.items.len(), pixels) - 1)?;
                let outcomes = self.each(workers, &work, &call).await?;
                let (pipeline, order) = (Arc::clone(self), Arc::clone(&work));
                let encoded = workers.submit(move || pipeline.encode(&order, &call, outcomes));
                encoded
                    .await
                    .unwrap_or_else(|failed| Err(failure(&work.request_id, &failed.0).into()))
            }
        }
    }

    async fn each(
        self: &Arc<Self>,
        workers: &Workers,
        work: &Arc<Work>,
        call: &Call,
    ) -> Result<Vec<Outcome>, Stop> {
        let works = call.items.iter().flatten().map(|item| {
            let (pipeline, work, item) = (Arc::clone(self), Arc::clone(work), item.clone());
            move || {
                work.check_wanted()?;
                settled(&work, || pipeline.compute(&work, &item))
            }
        });
        let mut jobs = workers.take_turns(works.collect()).into_iter();
        let mut outcomes = Vec::with_capacity(call.items.len());
        for item in &call.items {
            outcomes.push(match item {
                Err(refusal) => Err(refusal.clone()),
                Ok(_) => computed(work, jobs.next()).await?,
            });
        }
        Ok(outcomes)
    }

    /// Returns the answer if the request has one item, or the items if it has several.
    fn begin(&self, work: &Work) -> Result<Begun, Stop> {
        let waited = work.arrived.elapsed().as_secs_f64();
        self.metrics.observe_stage(Stage::Queue, waited);
        work.check_wanted()?;
        let (call, pixels) = self.parse(work)?;
        let [item] = call.items.as_slice() else {
            return Ok(Begun::Several(call, pixels));
        };
        let outcome = match item {
            Err(refusal) => Err(refusal.clone()),
            Ok(item) => outcome(settled(work, || self.compute(work, item)))?,
        };
        self.encode(work, &call, vec![outcome]).map(Begun::Answered)
    }

    /// Returns the request's items and the pixels that several have together, 0 for one item.
    fn parse(&self, work: &Work) -> Result<(Call, u64), Stop> {
        let most = self.limits.request;
        let parsed = self.metrics.time(Stage::Parse, || {
            caught(|| {
                let call = work.parse.parse(&work.body, &self.signature)?;
                let several = if call.items.len() > 1 {
                    call.items.as_slice()
                } else {
                    &[]
                };
                let counts = several.iter().flatten();
                let pixels: u64 = counts
                    .map(|item| pixels::count_pixels(item, self.limits.image))
                    .sum();
                Ok::<_, Refusal>((call, pixels))
            })
        });
        let (call, pixels) = parsed.unwrap_or_else(|text| Err(failure(&work.request_id, &text)))?;
        if pixels > most {
            let message =
                format!("the images have {pixels} pixels together: send at most {most} in one request");
            return Err(Refusal::new(413, message).into());
        }
        Ok((call, pixels))
    }

    fn encode(&self, work: &Work, call: &Call, outcomes: Vec<Outcome>) -> Result<Answer, Stop> {
        let encoded = self.metrics.time(Stage::Encode, || {
            caught(|| call.encode(&self.signature, outcomes))
        });
        Ok(encoded.unwrap_or_else(|text| Err(failure(&work.request_id, &text)))?)
    }

    /// Computes one image alone, through all stages.
    fn compute(&self, work: &Work, image: &[u8]) -> Result<Outputs, Stop> {
        let input = self
            .prepare(image, &|| work.wanted())
            .map_err(|stop| match stop {
                Unprepared::Refused(refusal) => {
                    // what ends the work in the middle of an image is not the image's fault
                    work.check_wanted().err().unwrap_or(Stop::Refused(refusal))
                }
                Unprepared::Unwanted => work.check_wanted().err().unwrap_or(Stop::Dropped),
            })?;
        self.infer(&input)
            .map_err(|error| failure(&work.request_id, &error.0))
            .and_then(|scores| self.outputs(scores))
            .map_err(Stop::from)
    }

    /// Returns the network's input for an encoded image.
    ///
    /// # Errors
    /// 413 or 422 for an image that cannot be used, or if `wanted` says no meanwhile.
    pub fn prepare(&self, image: &[u8], wanted: &dyn Fn() -> bool) -> Result<Vec<f32>, Unprepared> {
        let described = self.metrics.time(Stage::Decode, || {
            let description = pixels::describe(image, self.limits.image).map_err(refused)?;
            let share = self.memory.take(description.memory_bytes, wanted);
            let share = share.map_err(|none| match none {
                NoMemory::TooLarge(message) => Unprepared::Refused(Refusal::new(413, message)),
                NoMemory::Unwanted => Unprepared::Unwanted,
            })?;
            let decoded = pixels::decode(image, &description, &self.transform, wanted);
            Ok::<_, Unprepared>((decoded.map_err(refused)?, share))
        });
        let (decoded, share) = described?;
        self.metrics.time(Stage::Transform, || {
            let mut input = vec![0.0; self.network.input_len()];
            pixels::prepare(&decoded, &self.transform, &mut input).map_err(refused)?;
            drop((decoded, share));
            Ok(input)
        })
    }

    /// Returns the network's scores for a prepared image.
    ///
    /// # Errors
    /// If the network cannot compute it.
    pub fn infer(&self, input: &[f32]) -> Result<Vec<f32>, Uncomputable> {
        let scores = self.metrics.time(Stage::Infer, || self.network.predict(input))?;
        self.metrics.observe_batch(1);
        Ok(scores)
    }

    fn outputs(&self, scores: Vec<f32>) -> Result<Outputs, Refusal> {
        let Some(ranked) = self.network.finish(&scores) else {
            return Err(Refusal::new(500, NOT_FINITE));
        };
        Ok(Outputs {
            logits: (!self.signature.softmax).then_some(scores),
            probabilities: ranked.probabilities,
            label: ranked.label,
        })
    }

    /// Answers a request one item at a time, on this thread.
    ///
    /// # Errors
    /// If the request is refused.
    pub fn run(&self, work: &Work) -> Result<Answer, Stop> {
        let (call, _) = self.parse(work)?;
        let mut outcomes = Vec::with_capacity(call.items.len());
        for item in &call.items {
            outcomes.push(match item {
                Err(refusal) => Err(refusal.clone()),
                Ok(item) => outcome(self.compute(work, item))?,
            });
        }
        self.encode(work, &call, outcomes)
    }

    /// Returns a request's images.
    ///
    /// # Errors
    /// If the request is refused, or one of its images is.
    pub fn images(&self, work: &Work) -> Result<Vec<Bytes>, Stop> {
        let (call, _) = self.parse(work)?;
        let images: Result<Vec<Bytes>, Refusal> = call.items.iter().cloned().collect();
        Ok(images?)
    }
}

/// Why an image was not prepared.
#[derive(Debug)]
pub enum Unprepared {
    /// It cannot be used.
    Refused(Refusal),
    /// Nobody waits for it any more.
    Unwanted,
}

fn refused(error: pixels::Error) -> Unprepared {
    let status = match error.kind {
        pixels::ErrorKind::TooLarge => 413,
        pixels::ErrorKind::Unreadable => 422,
        pixels::ErrorKind::Abandoned => return Unprepared::Unwanted,
    };
    Unprepared::Refused(Refusal::new(status, error.message))
}

/// How many items of the queue a request of `items` images with so many pixels together counts as.
fn places(items: usize, pixels: u64) -> usize {
    let by_pixels = usize::try_from(pixels.div_ceil(PLACE_PIXELS)).unwrap_or(usize::MAX);
    items.max(by_pixels)
}

/// Returns what `compute` returns; a panic is logged with the request's id and becomes a 500.
fn settled(work: &Work, compute: impl FnOnce() -> Result<Outputs, Stop>) -> Result<Outputs, Stop> {
    caught(compute).unwrap_or_else(|text| Err(failure(&work.request_id, &text).into()))
}

async fn computed(work: &Work, job: Option<Job<Result<Outputs, Stop>>>) -> Result<Outcome, Stop> {
    let Some(job) = job else {
        return Ok(Err(failure(&work.request_id, "an item has no job")));
    };
    outcome(match job.await {
        Ok(computed) => computed,
        Err(failed) => Err(failure(&work.request_id, &failed.0).into()),
    })
}

/// Returns an item's outputs or the refusal of the item; a client that is gone ends the whole request.
fn outcome(computed: Result<Outputs, Stop>) -> Result<Outcome, Stop> {
    match computed {
        Ok(outputs) => Ok(Ok(outputs)),
        Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
        Err(Stop::Dropped) => Err(Stop::Dropped),
    }
}

/// Logs a fault of the service, and returns what its client is told.
fn failure(request_id: &str, text: &str) -> Refusal {
    log::error!(request_id = request_id, trace = text; "a request failed");
    Refusal::fault()
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn a_request_of_large_images_counts_as_more_items() {
        assert_eq!(places(3, 100), 3);
        assert_eq!(places(3, 4_000_001 * 5), 6);
        assert_eq!(
            places(2, u64::MAX),
            usize::try_from(u64::MAX.div_ceil(super::PLACE_PIXELS)).unwrap_or(0)
        );
    }
}
