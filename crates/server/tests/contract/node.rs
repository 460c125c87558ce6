//! A node that starts at once whatever it is assigned and ends it when told to, over the same routes as a real one.

use axum::body::Body;
use axum::response::Response;
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tower::ServiceExt;
use vitrine_model::wire::{
    Alive, Assignment, Assignments, AssignmentsRequest, Beat, BeatAnswer, EgressBytes, Known, Register, Registered,
    Step, StepAnswer, StepKind, Traffic,
};
use vitrine_model::{Desired, EndReason, MachineId};
use vitrine_server::{InProcess, Server};

#[derive(Clone)]
pub struct FakeNode {
    pub machine: MachineId,
    pub epoch: Arc<AtomicI64>,
    pub server: Server,
    pub known: Arc<Mutex<Vec<Known>>>,
    pub region: (&'static str, &'static str),
    /// What it was assigned, in order.
    pub assigned: Arc<Mutex<Vec<Assignment>>>,
}

impl FakeNode {
    pub async fn register(server: &Server, slots: u32) -> Self {
        Self::register_in(server, slots, ("iad", "na-east")).await
    }

    /// A machine in a region, by its two codes.
    pub async fn register_in(server: &Server, slots: u32, region: (&'static str, &'static str)) -> Self {
        let node = Self {
            region,
            machine: MachineId::new(crate::support::entropy().as_ref()),
            epoch: Arc::default(),
            server: server.clone(),
            known: Arc::default(),
            assigned: Arc::default(),
        };
        node.register_again(slots, "boot", Vec::new()).await;
        node
    }

    pub async fn register_again(&self, slots: u32, boot_id: &str, alive: Vec<Alive>) -> Registered {
        let register = Register {
            machine: self.machine.clone(),
            boot_id: boot_id.into(),
            version: "0".into(),
            region_code: self.region.0.into(),
            region_global: self.region.1.into(),
            provider: "test".into(),
            reserve_total_mb: 100_000,
            slots_total: slots,
            alive,
            drivers: vec!["native".into()],
        };
        let registered: Registered = self.say("register", &register).await;
        self.epoch.store(registered.epoch, Ordering::Relaxed);
        self.beat(Vec::new()).await;
        registered
    }

    pub async fn beat(&self, traffic: Vec<Traffic>) -> BeatAnswer {
        let beat = Beat {
            machine: self.machine.clone(),
            epoch: self.epoch(),
            not_ready: None,
            traffic,
            warm: 3,
            warm_sandboxes: 2,
            no_sandboxes: None,
        };
        self.say("beat", &beat).await
    }

    pub fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Works until it is dropped.
    pub async fn run(&self) {
        loop {
            for assignment in self.poll(20_000).await.items {
                self.obey(assignment).await;
            }
        }
    }

    pub async fn poll(&self, wait_ms: u64) -> Assignments {
        let known = self.known.lock().unwrap().clone();
        let request = AssignmentsRequest { machine: self.machine.clone(), epoch: self.epoch(), wait_ms, known };
        self.say("assignments", &request).await
    }

    async fn obey(&self, assignment: Assignment) {
        let reason = assignment.end_reason.unwrap_or(EndReason::Deleted);
        let what = match assignment.desired {
            Desired::End => StepKind::Finish { reason, egress: EgressBytes { bytes_in: 11, bytes_out: 7 } },
            Desired::Pause => StepKind::Paused,
            Desired::Resume => StepKind::Resumed,
            Desired::Run => StepKind::Ready,
        };
        {
            let mut known = self.known.lock().unwrap();
            known.retain(|known| known.session != assignment.session);
            known.push(Known {
                session: assignment.session.clone(),
                generation: assignment.generation,
                desired: assignment.desired,
            });
        }
        self.step(&assignment, what).await;
        if assignment.desired == Desired::End {
            self.known.lock().unwrap().retain(|known| known.session != assignment.session);
        }
        self.assigned.lock().unwrap().push(assignment);
    }

    pub async fn step(&self, assignment: &Assignment, what: StepKind) -> StepAnswer {
        let step = Step {
            machine: self.machine.clone(),
            epoch: self.epoch(),
            session: assignment.session.clone(),
            generation: assignment.generation,
            run: assignment.run.clone(),
            what,
        };
        self.say("steps", &step).await
    }

    async fn say<T: DeserializeOwned>(&self, word: &str, body: &impl Serialize) -> T {
        let response = self.post(word, serde_json::to_vec(body).unwrap(), true, None).await;
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_success(), "{word}: {status} {}", String::from_utf8_lossy(&bytes));
        serde_json::from_slice(&bytes).unwrap()
    }

    /// One raw request, as from this process or as from the network.
    pub async fn post(&self, word: &str, body: Vec<u8>, in_process: bool, token: Option<&str>) -> Response {
        let mut request = http::Request::post(format!("/internal/node/{word}")).body(Body::from(body)).unwrap();
        if in_process {
            request.extensions_mut().insert(InProcess);
        }
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        self.server.internal_router().oneshot(request).await.unwrap()
    }
}
