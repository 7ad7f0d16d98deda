//! The weights of the classes in the training loss.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The weights of the classes, written as `balanced`, or as a number for each class: `1,0.5,2`.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(into = "String")]
pub enum ClassWeights {
    /// The weights that follow from the training images; none before [`ClassWeights::balance`].
    Balanced(Option<Vec<f64>>),
    /// Given numbers, in the order of the labels.
    Numbers(Vec<f64>),
}

impl ClassWeights {
    /// The name of [`ClassWeights::Balanced`] in settings.
    const BALANCED: &'static str = "balanced";

    /// The largest weight. The sums over a batch of such weights and losses are finite in f32.
    const MOST: f64 = 1e9;

    /// Returns true for weights that follow from the training images.
    pub fn is_balanced(&self) -> bool {
        matches!(self, Self::Balanced(_))
    }

    /// Computes balanced weights from the labels of all training images, as scikit-learn's
    /// `compute_class_weight("balanced")` does: `n / (C · n_c)` for class c, which has `n_c` of the `n` images. `C` is
    /// the number of classes with an image. A class without images has the weight 0: no label of the training names it,
    /// so the weight has no effect on the mean over a batch. Given numbers do not change.
    pub fn balance(&mut self, labels: &[u16], n_classes: usize) {
        let Self::Balanced(weights) = self else { return };
        let mut counts = vec![0_usize; n_classes];
        labels.iter().for_each(|&label| counts[usize::from(label)] += 1);
        let n_used = counts.iter().filter(|&&count| count > 0).count();
        let weight = |&count: &usize| match count {
            0 => 0.0,
            count => labels.len() as f64 / (n_used * count) as f64,
        };
        *weights = Some(counts.iter().map(weight).collect());
    }

    /// Returns the weights, in the order of the labels; none for balanced weights before [`ClassWeights::balance`].
    pub fn numbers(&self) -> Option<&[f64]> {
        match self {
            Self::Balanced(weights) => weights.as_deref(),
            Self::Numbers(weights) => Some(weights),
        }
    }

    /// Returns the least and the largest weight in words.
    pub fn description(&self) -> String {
        let numbers = self.numbers().unwrap_or_default().iter().copied();
        let [least, most] = [numbers.clone().reduce(f64::min), numbers.reduce(f64::max)];
        let range = match (least, most) {
            (Some(least), Some(most)) => format!(" {} to {}", rounded(least), rounded(most)),
            _ => String::new(),
        };
        let balanced = if self.is_balanced() { " (balanced)" } else { "" };
        format!("classes weighted{range}{balanced}")
    }

    /// Checks that given numbers are the weights of `n_classes` classes, or of any number of classes if it is none.
    ///
    /// # Errors
    /// The rule that the numbers break, as the words after "must".
    pub fn check(&self, n_classes: Option<usize>) -> Result<(), String> {
        let Self::Numbers(weights) = self else { return Ok(()) };
        if let Some(n_classes) = n_classes.filter(|&n_classes| n_classes != weights.len()) {
            return Err(format!(
                "be balanced, or {n_classes} numbers with commas between them, one for each class"
            ));
        }
        let is_weight = |weight: &f64| (0.0..=Self::MOST).contains(weight);
        if !weights.iter().all(is_weight) || weights.iter().all(|&weight| weight as f32 == 0.0) {
            return Err(format!(
                "be numbers from 0 to {:e}, at least one of them above 0",
                Self::MOST
            ));
        }
        Ok(())
    }
}

/// Returns a weight with at most three decimal places.
fn rounded(weight: f64) -> f64 {
    (1000.0 * weight).round() / 1000.0
}

impl FromStr for ClassWeights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == Self::BALANCED {
            return Ok(Self::Balanced(None));
        }
        let numbers: Result<Vec<f64>, _> =
            text.split(',').map(|number| number.trim().parse()).collect();
        numbers.map(Self::Numbers).map_err(|_| {
            format!("{text:?} is neither balanced nor a number for each class; write for example 1,0.5,2")
        })
    }
}

impl From<ClassWeights> for String {
    fn from(weights: ClassWeights) -> Self {
        weights.to_string()
    }
}

impl fmt::Display for ClassWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balanced(_) => f.write_str(Self::BALANCED),
            Self::Numbers(weights) => {
                let numbers: Vec<_> = weights.iter().map(f64::to_string).collect();
                f.write_str(&numbers.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_back() {
        for text in ["balanced", "1,0.5,2", "3"] {
            let weights: ClassWeights = text.parse().expect("weights");
            assert_eq!(weights.to_string(), text);
        }
        for bad in ["", "Balanced", "1,", "a,b", "1 2"] {
            assert!(bad.parse::<ClassWeights>().is_err(), "{bad}");
        }
    }

    #[test]
    fn balanced_weights_are_those_of_scikit_learn() {
        // compute_class_weight("balanced", classes=[0, 1, 3], y=[0, 0, 0, 1, 3, 3])
        let mut weights = ClassWeights::Balanced(None);
        assert_eq!(weights.numbers(), None);
        weights.balance(&[0, 3, 0, 1, 3, 0], 4);
        let expected = [2.0 / 3.0, 2.0, 0.0, 1.0];
        assert_eq!(weights.numbers(), Some(&expected[..]));
        assert_eq!(weights.to_string(), "balanced");
        assert_eq!(weights.description(), "classes weighted 0 to 2 (balanced)");
        let mut given = ClassWeights::Numbers(vec![1.0, 2.0]);
        assert_eq!(given.description(), "classes weighted 1 to 2");
        given.balance(&[0, 0, 1], 2);
        assert_eq!(given.numbers(), Some(&[1.0, 2.0][..]));
    }

    #[test]
    fn each_class_has_one_finite_weight() {
        let check = |weights: &[f64]| ClassWeights::Numbers(weights.to_vec()).check(Some(3));
        assert_eq!(check(&[0.0, 0.5, 1e9]), Ok(()));
        assert_eq!(ClassWeights::Balanced(None).check(Some(3)), Ok(()));
        assert_eq!(ClassWeights::Numbers(vec![1.0]).check(None), Ok(()));
        assert!(check(&[1.0, 1.0]).expect_err("two").contains("3 numbers"));
        for bad in [-1.0, f64::NAN, f64::INFINITY, 2e9] {
            assert!(check(&[1.0, bad, 1.0]).expect_err("bad").contains("from 0 to 1e9"), "{bad}");
        }
        assert!(check(&[0.0, 0.0, 1e-60]).expect_err("all 0").contains("above 0"));
    }
}
