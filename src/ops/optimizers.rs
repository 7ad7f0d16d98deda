//! The list of all optimizers, from which `--optimizer` selects one.

use serde::{Deserialize, Serialize};

use super::optimizer::{Hyperparameters, Optimizer};
use super::{adam, sgd};
use crate::base::choice::Choice;

/// Declares the optimizers. Each line has a help text, the optimizer's name as a value of `--optimizer`, the default
/// weight decay, and the type, which implements [`Optimizer`] and `From<Hyperparameters>`.
macro_rules! optimizers {
    ($($(#[doc = $help:literal])+ $name:literal, $weight_decay:literal, $(#[$default:ident])? $kind:ident = $module:ident::$type:ident;)+) => {
        /// The optimizers in the list, without their hyperparameters.
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
        pub enum OptimizerKind {
            $($(#[doc = $help])+ #[serde(rename = $name)] $(#[$default])? $kind,)+
        }

        impl Choice for OptimizerKind {
            const ALL: &'static [(Self, &'static str, &'static str)] =
                &[$((Self::$kind, $name, concat!($($help),+).trim_ascii())),+];
        }

        impl OptimizerKind {
            /// Returns the optimizer's default weight decay, which is that of PyTorch.
            pub fn weight_decay(self) -> f64 {
                match self { $(Self::$kind => $weight_decay,)+ }
            }

            /// Returns the optimizer with these hyperparameters.
            pub fn with(self, hyperparameters: Hyperparameters) -> AnyOptimizer {
                match self { $(Self::$kind => AnyOptimizer::$kind(hyperparameters.into()),)+ }
            }
        }

        /// An optimizer of the list, with its hyperparameters.
        #[derive(Clone, Copy, PartialEq, Debug)]
        pub enum AnyOptimizer {
            $($(#[doc = $help])+ $kind($module::$type),)+
        }

        impl AnyOptimizer {
            /// Returns the optimizer as a trait object.
            pub fn get(&self) -> &dyn Optimizer {
                match self { $(Self::$kind(optimizer) => optimizer,)+ }
            }
        }

        $(impl From<$module::$type> for AnyOptimizer {
            fn from(optimizer: $module::$type) -> Self {
                Self::$kind(optimizer)
            }
        })+
    };
}

optimizers! {
    /// Adam, with weight decay as an L2 penalty
    "adam", 0.0, #[default] Adam = adam::Adam;
    /// Adam with decoupled weight decay, 0.01 by default
    "adamw", 0.01, AdamW = adam::AdamW;
    /// Stochastic gradient descent, with --momentum and --nesterov
    "sgd", 0.0, Sgd = sgd::Sgd;
}
