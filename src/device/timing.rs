//! What a step's nodes take.

use std::fmt;

/// The time of each node in one run of a program.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeTimes {
    /// Seconds, in the order of the tape's nodes.
    pub seconds: Vec<f64>,
    /// What measured them.
    pub clock: Clock,
}

impl NodeTimes {
    /// The time of all nodes, in seconds.
    pub fn sum(&self) -> f64 {
        self.seconds.iter().sum()
    }
}

/// What measures a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// The device writes its clock between the nodes of the step's one pass. A node's time is from the
    /// end of the one before to its own end, so that all of them add up to the step.
    BetweenNodes,
    /// The device writes its clock where a pass begins and ends, and each node is a pass of its own:
    /// for adapters that cannot tell the time within a pass.
    AroundPasses,
    /// The host's clock, around each node.
    Host,
    /// The host's clock, from the submission of each node alone until the device is idle again, for
    /// adapters that cannot tell the time: what handing over and waiting takes is counted too.
    SubmitAndWait,
}

impl Clock {
    /// One word, for files.
    pub fn name(self) -> &'static str {
        match self {
            Clock::BetweenNodes => "timestamps-between-nodes",
            Clock::AroundPasses => "timestamps-around-passes",
            Clock::Host => "host",
            Clock::SubmitAndWait => "submit-and-wait",
        }
    }
}

/// A few words, for people.
impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Clock::BetweenNodes => "timestamps that the device writes between nodes",
            Clock::AroundPasses => "timestamps that the device writes around each node's pass",
            Clock::Host => "the host's clock around each node",
            Clock::SubmitAndWait => {
                "the host's clock around each node, submitted alone: this adapter has no timestamps, \
                 so each time has the hand-over in it"
            }
        })
    }
}
