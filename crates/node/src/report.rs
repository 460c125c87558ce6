//! What a run tells the server.

use crate::node::Shared;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use vitrine_model::Happening;
use vitrine_model::wire::{Assignment, Step, StepAnswer, StepKind};

/// Between two tries to report a step.
const REPORT_AGAIN: Duration = Duration::from_millis(500);

/// One run's voice. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reporter {
    shared: Arc<Shared>,
    assignment: Arc<Assignment>,
    epoch: i64,
}

impl Reporter {
    pub(crate) fn new(shared: Arc<Shared>, assignment: Arc<Assignment>, epoch: i64) -> Self {
        Self { shared, assignment, epoch }
    }

    /// Reports until the server answers or the machine is lost.
    pub(crate) async fn step(&self, what: StepKind) -> StepAnswer {
        let step = Step {
            machine: self.shared.config.machine.clone(),
            epoch: self.epoch,
            session: self.assignment.session.clone(),
            generation: self.assignment.generation,
            run: self.assignment.run.clone(),
            what,
        };
        loop {
            match self.shared.link.step(&step).await {
                Ok(answer) => return answer,
                Err(error) => {
                    tracing::warn!(session = %step.session, %error, "a step could not be reported yet");
                    if self.shared.is_lost() {
                        return StepAnswer::NotYours;
                    }
                    sleep(REPORT_AGAIN).await;
                }
            }
        }
    }

    /// Reports what is no step of the session's life. A row that has moved on does not want to know.
    pub(crate) async fn happened(&self, what: Happening, data: serde_json::Value) {
        self.step(StepKind::Happened { what, data }).await;
    }
}
