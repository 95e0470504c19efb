//! CPU of gate and Redis together per durable scan against the floor's, one gate and four that compete
//! for one event; how long scans wait when they come by themselves at half of what one gate can do.

#![allow(clippy::expect_used, reason = "a figure whose house does not stand has nothing to say")]

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use benches::hall::{Hall, Server, serving};
use benches::load::{Pace, Reply, run};
use benches::{Figure, median, quantile, say, verdict};

/// Turns of each way, and scans in a turn, each of a ticket of its own.
const TURNS: usize = 12;
const SCANS: usize = 2_000;
const CONNECTIONS: usize = 64;
/// Nodes that compete.
const NODES: usize = 4;
/// Scans that come by themselves, and connections that wait for them.
const ARRIVALS: usize = 20_000;
const OPEN_CONNECTIONS: usize = 256;

fn main() -> ExitCode {
    if let Some(code) = serving() {
        return ExitCode::from(code);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(figures())
}

async fn figures() -> ExitCode {
    let hall = Hall::open(1_000_000).await;
    let tickets = Tickets::default();
    let first = hall.gate().await;
    hall.issue(&first, 2 * TURNS * SCANS + ARRIVALS).await;
    let floor = hall.floor();

    let mut alone = Way::default();
    let mut least = Way::default();
    for _ in 0..TURNS {
        least.turn(&hall, &[&floor], "/scan", tickets.floor(SCANS)).await;
        alone.turn(&hall, &[&first], DOOR, tickets.gate(SCANS)).await;
    }
    let mut nodes = vec![first];
    while nodes.len() < NODES {
        nodes.push(hall.gate().await);
    }
    let all: Vec<&Server> = nodes.iter().collect();
    let mut rivals = Way::default();
    for _ in 0..TURNS {
        rivals.turn(&hall, &all, DOOR, tickets.gate(SCANS)).await;
    }
    nodes.truncate(1);
    let most = alone.per_second();
    let gap = Duration::from_micros(2_000_000 / most.max(1));
    let scans = Arc::new(hall.scans(DOOR, tickets.gate(ARRIVALS)));
    let arrivals = send(nodes[0].public, OPEN_CONNECTIONS, Pace::Every(gap), scans).await;
    report(least, alone, rivals, arrivals)
}

fn report(mut least: Way, mut alone: Way, mut rivals: Way, mut arrivals: Vec<u64>) -> ExitCode {
    let floor = median(&mut least.cpu_ns);
    for (name, way) in
        [("floor", &mut least), ("one gate", &mut alone), ("four gates", &mut rivals)]
    {
        say(&format!(
            "{name}: {} ns of CPU a scan ({} ns of them Redis), {} scans a second, p50 {} µs, p99 {} µs",
            median(&mut way.cpu_ns),
            median(&mut way.store_ns),
            way.per_second(),
            quantile(&mut way.waits_us, 500),
            quantile(&mut way.waits_us, 990),
        ));
    }
    let against = |value: u64, base: u64| value * 1_000_000 / base.max(1);
    verdict(&[
        Figure {
            name: "CPU of gate and Redis a scan",
            thousandths: against(median(&mut alone.cpu_ns), floor),
            limit: 1_000,
            unit: "thousandths of the floor's",
        },
        Figure {
            name: "CPU of four gates that compete, and Redis, a scan",
            thousandths: against(median(&mut rivals.cpu_ns), floor),
            limit: 1_500,
            unit: "thousandths of the floor's",
        },
        Figure {
            name: "scans a second of one gate",
            thousandths: against(alone.per_second(), rivals.per_second()),
            limit: 1_428,
            unit: "thousandths of those of four that compete",
        },
        Figure {
            name: "99 of 100 scans at four gates",
            thousandths: quantile(&mut rivals.waits_us, 990),
            limit: 20,
            unit: "ms",
        },
        Figure {
            name: "99 of 100 scans that come by themselves at half of the most",
            thousandths: quantile(&mut arrivals, 990),
            limit: 5,
            unit: "ms",
        },
        Figure {
            name: "999 of 1,000 of them",
            thousandths: quantile(&mut arrivals, 999),
            limit: 25,
            unit: "ms",
        },
    ])
}

const DOOR: &str = "/api/v1/check-in/scan";

/// Which tickets were used: the floor takes any of them, since it knows no event.
#[derive(Default)]
struct Tickets {
    floor: std::cell::Cell<usize>,
    gate: std::cell::Cell<usize>,
}

impl Tickets {
    fn floor(&self, count: usize) -> std::ops::Range<usize> {
        next(&self.floor, count)
    }

    fn gate(&self, count: usize) -> std::ops::Range<usize> {
        next(&self.gate, count)
    }
}

fn next(used: &std::cell::Cell<usize>, count: usize) -> std::ops::Range<usize> {
    let from = used.get();
    used.set(from + count);
    from..from + count
}

/// What the turns of one way came to.
#[derive(Default)]
struct Way {
    /// A scan's CPU in each turn, servers and store; the store's part.
    cpu_ns: Vec<u64>,
    store_ns: Vec<u64>,
    waits_us: Vec<u64>,
    rates: Vec<u64>,
}

impl Way {
    async fn turn(
        &mut self,
        hall: &Hall,
        servers: &[&Server],
        path: &str,
        tickets: std::ops::Range<usize>,
    ) {
        let count = tickets.len();
        let scans = Arc::new(hall.scans(path, tickets));
        let cpu = || servers.iter().map(|server| server.cpu_ns()).sum::<u64>();
        let before = (cpu(), hall.store_cpu_ns());
        let share = count / servers.len();
        let started = std::time::Instant::now();
        let parts = servers.iter().enumerate().map(|(place, server)| {
            let part = scans[place * share..(place + 1) * share].to_vec();
            send(server.public, CONNECTIONS / servers.len(), Pace::Closed, Arc::new(part))
        });
        let runs = together(parts).await;
        let elapsed = started.elapsed();
        let after = (cpu(), hall.store_cpu_ns());
        let each = |ns: u64| ns / u64::try_from(count).unwrap_or(1);
        self.cpu_ns.push(each(after.0 - before.0 + after.1 - before.1));
        self.store_ns.push(each(after.1 - before.1));
        let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        self.rates.push(u64::try_from(count).unwrap_or(0) * 1_000 / ms);
        self.waits_us.extend(runs.into_iter().flatten());
    }

    fn per_second(&self) -> u64 {
        median(&mut self.rates.clone())
    }
}

async fn together(
    parts: impl Iterator<Item = impl Future<Output = Vec<u64>> + Send + 'static>,
) -> Vec<Vec<u64>> {
    let tasks: Vec<_> = parts.map(tokio::spawn).collect();
    let mut runs = Vec::new();
    for task in tasks {
        runs.push(task.await.expect("the load runs"));
    }
    runs
}

async fn send(
    address: SocketAddr,
    connections: usize,
    pace: Pace,
    scans: Arc<Vec<Vec<u8>>>,
) -> Vec<u64> {
    let count = scans.len();
    let make = move |place: usize| scans.get(place).cloned().unwrap_or_default();
    run(address, connections, count, pace, make, admitted).await.expect("every scan is admitted")
}

fn admitted(reply: &Reply) -> bool {
    reply.status == 200 && String::from_utf8_lossy(&reply.body).contains("\"verdict\":\"admit\"")
}
