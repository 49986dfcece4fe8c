use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::job::Failed;
use super::*;

const FOREVER: Duration = Duration::from_hours(1);

fn workers(threads: usize) -> Workers {
    Workers::new(threads, "worker", FOREVER).unwrap()
}

/// Waits for a job as a thread.
fn wait<T>(job: Job<T>) -> Result<T, Failed> {
    let mut job = pin!(job);
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        if let Poll::Ready(result) = job.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
        assert!(Instant::now() < until, "the job did not end");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Occupies a thread until the sender says something; returns once the thread has begun.
fn occupy(workers: &Workers) -> (Sender<()>, Job<()>) {
    let (release, released): (Sender<()>, Receiver<()>) = channel();
    let (begun, begins) = channel();
    let job = workers.submit(move || {
        begun.send(()).unwrap();
        let _ = released.recv();
    });
    begins.recv().unwrap();
    (release, job)
}

#[test]
fn a_job_gives_its_result() {
    assert_eq!(wait(workers(2).submit(|| 6 * 7)), Ok(42));
}

#[test]
fn threads_have_names_and_many_jobs_are_all_done() {
    let workers = workers(3);
    let jobs: Vec<_> = (0..500)
        .map(|number| workers.submit(move || (number, thread::current().name().map(str::to_owned))))
        .collect();
    for (place, job) in jobs.into_iter().enumerate() {
        let (number, name) = wait(job).unwrap();
        assert_eq!(number, place);
        assert!(name.unwrap().starts_with("worker-"));
    }
}

#[test]
fn a_panic_is_the_jobs_own_error_and_the_thread_lives_on() {
    let workers = workers(1);
    let number = 3;
    assert_eq!(
        wait(workers.submit(|| -> u8 { panic!("plain") })),
        Err(Failed("plain".to_owned()))
    );
    assert_eq!(
        wait(workers.submit(move || -> u8 { panic!("with {number}") })),
        Err(Failed("with 3".to_owned()))
    );
    let odd = wait(workers.submit(|| -> u8 { std::panic::panic_any(5_u8) }));
    assert_eq!(odd, Err(Failed("a panic without a text".to_owned())));
    assert_eq!(wait(workers.submit(|| 1)), Ok(1));
    assert!(workers.alive());
}

#[test]
fn a_job_that_is_dropped_is_not_done_and_holds_nothing() {
    let workers = workers(1);
    let (release, busy) = occupy(&workers);
    let held = Arc::new(());
    let done = Arc::new(AtomicUsize::new(0));
    let (kept, counted) = (Arc::clone(&held), Arc::clone(&done));
    let job = workers.submit(move || {
        drop(kept);
        counted.fetch_add(1, Ordering::Relaxed)
    });
    assert_eq!(Arc::strong_count(&held), 2);
    drop(job);
    assert_eq!(Arc::strong_count(&held), 1, "although the job stays in the queue");
    release.send(()).unwrap();
    wait(busy).unwrap();
    wait(workers.submit(|| ())).unwrap();
    assert_eq!(done.load(Ordering::Relaxed), 0);
}

#[test]
fn what_a_job_held_is_free_when_its_result_is_there() {
    let workers = workers(1);
    let held = Arc::new(());
    let kept = Arc::clone(&held);
    wait(workers.submit(move || drop(kept))).unwrap();
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn jobs_of_one_request_take_turns_with_others() {
    let workers = workers(1);
    let (release, busy) = occupy(&workers);
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |name: &'static str, lasts: Duration| {
        let order = Arc::clone(&order);
        move || {
            thread::sleep(lasts);
            order.lock().unwrap().push(name);
        }
    };
    let large = workers.take_turns((0..4).map(|_| note("large", 2 * TURN)).collect());
    let others = [
        workers.submit(note("b", Duration::ZERO)),
        workers.submit(note("c", Duration::ZERO)),
    ];
    release.send(()).unwrap();
    wait(busy).unwrap();
    for job in large.into_iter().chain(others) {
        wait(job).unwrap();
    }
    let order = order.lock().unwrap().clone();
    assert_eq!(order.iter().filter(|name| **name == "large").count(), 4);
    assert_eq!(order[0], "large");
    let last_other = order.iter().rposition(|name| *name != "large").unwrap();
    assert!(last_other <= 3, "{order:?}");
}

#[test]
fn short_jobs_of_one_request_are_done_in_one_turn() {
    let workers = workers(1);
    let (release, busy) = occupy(&workers);
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |name: &'static str| {
        let order = Arc::clone(&order);
        move || order.lock().unwrap().push(name)
    };
    let small = workers.take_turns((0..3).map(|_| note("small")).collect());
    let other = workers.submit(note("other"));
    release.send(()).unwrap();
    wait(busy).unwrap();
    for job in small.into_iter().chain([other]) {
        wait(job).unwrap();
    }
    assert_eq!(*order.lock().unwrap(), ["small", "small", "small", "other"]);
}

#[test]
fn threads_that_have_nothing_else_to_do_share_the_jobs_of_one_request() {
    let workers = workers(2);
    let (met, meets) = channel();
    let (here, there): (Sender<()>, Receiver<()>) = channel();
    let there = Mutex::new(there);
    let works: Vec<Box<dyn FnOnce() + Send>> = vec![
        Box::new(move || {
            // this waits until another thread does the other job
            there
                .lock()
                .unwrap()
                .recv_timeout(Duration::from_mins(1))
                .unwrap();
            met.send(()).unwrap();
        }),
        Box::new(move || here.send(()).unwrap()),
    ];
    let jobs = workers.take_turns(works);
    meets.recv_timeout(Duration::from_mins(1)).unwrap();
    for job in jobs {
        wait(job).unwrap();
    }
}

#[test]
fn jobs_of_a_request_that_is_given_up_are_not_done() {
    let workers = workers(1);
    let (release, busy) = occupy(&workers);
    let done = Arc::new(AtomicUsize::new(0));
    let works = (0..5).map(|_| {
        let done = Arc::clone(&done);
        move || done.fetch_add(1, Ordering::Relaxed)
    });
    let mut jobs = workers.take_turns(works.collect());
    let last = jobs.pop().unwrap();
    drop(jobs);
    release.send(()).unwrap();
    wait(busy).unwrap();
    assert_eq!(wait(last), Ok(0));
    assert_eq!(done.load(Ordering::Relaxed), 1);
}

#[test]
fn they_are_dead_if_every_thread_hangs_and_alive_again_after_progress() {
    let workers = Workers::new(2, "worker", Duration::from_millis(30)).unwrap();
    assert!(workers.alive());
    let (release, first) = occupy(&workers);
    thread::sleep(Duration::from_millis(60));
    assert!(workers.alive(), "one thread is idle");
    let (progress, wanted): (Sender<()>, Receiver<()>) = channel();
    let (noted, has_noted) = channel();
    let second = workers.submit(move || {
        while wanted.recv().is_ok() {
            note_progress();
            noted.send(()).unwrap();
        }
    });
    let until = Instant::now() + Duration::from_mins(1);
    while workers.alive() {
        assert!(Instant::now() < until, "both hang");
        thread::sleep(Duration::from_millis(5));
    }
    progress.send(()).unwrap();
    has_noted.recv().unwrap();
    drop(progress);
    release.send(()).unwrap();
    wait(first).unwrap();
    wait(second).unwrap();
    assert!(workers.alive());
    note_progress(); // on a thread that is none of them
}

#[test]
fn queued_jobs_are_done_before_the_threads_end_and_later_ones_fail() {
    let workers = workers(1);
    let (release, busy) = occupy(&workers);
    let queued = workers.submit(|| 1);
    let turns = workers.take_turns(vec![|| 2, || 3]);
    workers.close();
    let late = workers.submit(|| 4);
    release.send(()).unwrap();
    wait(busy).unwrap();
    assert_eq!(wait(queued), Ok(1));
    assert_eq!(turns.into_iter().map(wait).collect::<Vec<_>>(), [Ok(2), Ok(3)]);
    assert!(wait(late).is_err());
}

#[test]
fn patience_follows_the_deadline() {
    assert_eq!(patience(30_000), Duration::from_mins(1));
    assert_eq!(patience(1), Duration::from_secs(20));
    assert!(patience(u64::MAX) > FOREVER);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_job_is_done_once_or_dropped(
        threads in 1_usize..4,
        requests in proptest::collection::vec((1_usize..5, any::<bool>(), any::<bool>()), 0..20),
    ) {
        let workers = workers(threads);
        let done = Arc::new(AtomicUsize::new(0));
        let mut expected = 0;
        let mut waiting = Vec::new();
        for (items, panics, dropped) in requests {
            let works: Vec<_> = (0..items).map(|_| {
                let done = Arc::clone(&done);
                move || { assert!(!panics, "on purpose"); done.fetch_add(1, Ordering::Relaxed); }
            }).collect();
            let jobs = workers.take_turns(works);
            if !dropped {
                expected += if panics { 0 } else { items };
                waiting.extend(jobs.into_iter().map(|job| (job, panics)));
            }
        }
        for (job, panics) in waiting {
            prop_assert_eq!(wait(job).is_err(), panics);
        }
        prop_assert!(done.load(Ordering::Relaxed) >= expected);
    }
}
