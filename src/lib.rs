//! wgrad
