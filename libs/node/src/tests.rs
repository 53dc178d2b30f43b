//! Starting and stopping, step by step, in both topologies.
