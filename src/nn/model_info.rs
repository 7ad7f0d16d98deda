//! The record in a file of weights that names the network and describes the training data.

use serde::{Deserialize, Serialize};

use super::NetworkEntry;
use crate::base::fingerprint::Fingerprint;

/// The record of a network and of the data that its weights were trained on. A file of weights has the record in its
/// metadata, under the key [`ModelInfo::KEY`].
///
/// The record is JSON with sorted keys. It has no path, time, device or number of processes, so equal tensors make
/// equal files on every machine. Readers ignore unknown keys.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Names of the classes, in the order of their labels.
    pub classes: Vec<String>,
    /// Name of the dataset, such as `cifar10`.
    pub data: String,
    /// Hash of all training and test images of the dataset and of their labels, held-out images included.
    pub fingerprint: Fingerprint,
    /// Shape of an image, `[H, W, C]`. A record without this field means images of 32x32 pixels in three channels.
    #[serde(
        default = "image_of_earlier_versions",
        skip_serializing_if = "is_image_of_earlier_versions"
    )]
    pub image: [usize; 3],
    /// Mean of each channel of the training images, with pixels in 0..=1.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel of the training images. Normalisation subtracts the mean from a pixel and
    /// divides by this number.
    pub standard_deviation: Vec<f64>,
    /// Network; None in files from earlier versions of wgrad, whose only network was
    /// [`DEFAULT`](super::networks::DEFAULT).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkEntry>,
}

impl ModelInfo {
    /// The key of the record in the metadata of a safetensors file.
    pub const KEY: &str = "wgrad";

    /// Returns the record as JSON, the value that the metadata has for [`ModelInfo::KEY`].
    pub fn to_json(&self) -> String {
        // The conversion to a `serde_json::Value` sorts the keys.
        serde_json::to_value(self).expect("numbers and strings").to_string()
    }

    /// Returns the record that `json`, the value of [`ModelInfo::KEY`] in the metadata, contains.
    ///
    /// # Errors
    /// The reason why `json` is not a valid record.
    pub fn parse(json: &str) -> Result<Self, String> {
        let info: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        // Normalisation computes in f32, so the numbers must be usable as f32.
        let is_mean = |mean: f64| (mean as f32).is_finite();
        let is_deviation = |deviation: f64| deviation > 0.0 && (deviation as f32).is_normal();
        let (means, deviations) = (&info.mean, &info.standard_deviation);
        let are_usable = info.image.iter().all(|&side| side > 0)
            && means.len() == info.image[2]
            && deviations.len() == info.image[2]
            && means.iter().copied().all(is_mean)
            && deviations.iter().copied().all(is_deviation);
        are_usable.then_some(info).ok_or_else(|| {
            "mean and standard_deviation must be numbers in the range of f32, one for each channel, the latter \
             above 0"
                .into()
        })
    }
}

fn image_of_earlier_versions() -> [usize; 3] {
    [32, 32, 3]
}

fn is_image_of_earlier_versions(image: &[usize; 3]) -> bool {
    *image == image_of_earlier_versions()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> ModelInfo {
        ModelInfo {
            classes: vec!["left".to_string(), "right \"turn\"".to_string()],
            data: "cifar10".to_string(),
            fingerprint: Fingerprint::of([]),
            image: [32, 32, 3],
            mean: vec![0.1 + 0.2, 0.5, 0.25],
            standard_deviation: vec![0.25; 3],
            network: Some(NetworkEntry { name: "resnet20".to_string(), width: 16 }),
        }
    }

    #[test]
    fn a_record_is_json_with_sorted_keys() {
        let json = info().to_json();
        assert_eq!(
            json,
            r#"{"classes":["left","right \"turn\""],"data":"cifar10","fingerprint":"e3b0c44298fc1c14","#
                .to_string()
                + r#""mean":[0.30000000000000004,0.5,0.25],"network":{"name":"resnet20","width":16},"#
                + r#""standard_deviation":[0.25,0.25,0.25]}"#
        );
        assert_eq!(ModelInfo::parse(&json), Ok(info()));
        let grey = ModelInfo {
            image: [28, 28, 1],
            mean: vec![0.1],
            standard_deviation: vec![0.3],
            ..info()
        };
        assert_eq!(ModelInfo::parse(&grey.to_json()), Ok(grey));
    }

    #[test]
    fn a_record_of_an_earlier_version_names_no_network() {
        let earlier = info().to_json().replace(r#""network":{"name":"resnet20","width":16},"#, "");
        assert_eq!(ModelInfo::parse(&earlier), Ok(ModelInfo { network: None, ..info() }));
    }

    #[test]
    fn unknown_keys_are_ignored_and_damaged_records_are_refused() {
        let later = info().to_json().replacen('{', r#"{"optimizer":"lion","#, 1);
        assert_eq!(ModelInfo::parse(&later), Ok(info()));
        for damaged in ["", "{}", "[1]", r#"{"classes":[]}"#] {
            assert!(ModelInfo::parse(damaged).is_err(), "{damaged}");
        }
        for deviation in [0.0, -1.0, 1e-300, 1e300] {
            let unusable = ModelInfo { standard_deviation: vec![deviation; 3], ..info() };
            assert!(ModelInfo::parse(&unusable.to_json()).is_err(), "{deviation}");
        }
        for mean in [vec![1e300; 3], vec![0.5; 2], Vec::new()] {
            let unusable = ModelInfo { mean, ..info() };
            assert!(ModelInfo::parse(&unusable.to_json()).is_err(), "{unusable:?}");
        }
    }
}
