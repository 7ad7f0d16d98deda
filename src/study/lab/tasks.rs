//! Tasks on the images of a study: some of the classes, or the angle by which an image is turned.

use wgrad::data::Split;

use super::Images;

/// Images with the classes of a task.
#[derive(Clone, Debug)]
pub struct Task {
    /// The training images.
    pub train: Split,
    /// The test images.
    pub test: Split,
    /// The number of classes.
    pub n_classes: usize,
}

impl Task {
    /// Returns the task of telling these classes apart.
    pub fn of_classes(images: &Images, classes: &[u16]) -> Self {
        let of = |split: &Split| {
            let number = |label: &u16| classes.iter().position(|class| class == label);
            let own = split.labels.iter().enumerate().filter(|(_, label)| number(label).is_some());
            let mut own = split.select(&own.map(|(ix, _)| ix as u32).collect::<Vec<_>>());
            own.labels = own.labels.iter().filter_map(number).map(|ix| ix as u16).collect();
            own
        };
        Self { train: of(images.train()), test: of(images.test()), n_classes: classes.len() }
    }

    /// Returns the task of finding the angle by which an image is turned: 0, 90, 180 or 270 degrees.
    pub fn of_turns(images: &Images) -> Self {
        let of = |split: &Split| {
            let turned = (0..split.len()).flat_map(|ix| {
                let square = split.image(ix).into_owned();
                (0..ix % 4).fold(square, |image, _| turn(&image, split.size.height))
            });
            let labels = (0..split.len()).map(|ix| (ix % 4) as u16).collect();
            Split::of(split.size, turned.collect::<Vec<u8>>(), labels)
        };
        Self { train: of(images.train()), test: of(images.test()), n_classes: 4 }
    }

    /// Returns the task with the first training images alone, at most `n`.
    pub fn first(&self, n: usize) -> Self {
        let numbers: Vec<u32> = (0..self.train.len().min(n) as u32).collect();
        Self { train: self.train.select(&numbers), ..self.clone() }
    }
}

/// Returns square planes, `[C, side, side]`, turned by 90 degrees clockwise.
fn turn(planes: &[u8], side: usize) -> Vec<u8> {
    let plane = |plane: &[u8]| {
        let at = |ix: usize| plane[(side - 1 - ix % side) * side + ix / side];
        (0..side * side).map(at).collect::<Vec<u8>>()
    };
    planes.chunks_exact(side * side).flat_map(plane).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_turns_are_none() {
        let planes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(turn(&planes, 2), [3, 1, 4, 2, 7, 5, 8, 6]);
        assert_eq!((0..4).fold(planes.to_vec(), |planes, _| turn(&planes, 2)), planes);
    }
}
