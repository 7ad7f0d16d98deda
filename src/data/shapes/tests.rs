use super::*;

const N_CLASSES: usize = Figure::ALL.len();

#[test]
fn a_seed_gives_the_same_bytes_and_another_seed_others() {
    let first = draw_train(7, 50);
    assert!(first == draw_train(7, 50), "the same seed drew other pictures");
    for other in [draw_train(8, 50), draw_test(7, 50)] {
        assert_eq!(first.labels, other.labels);
        for i in 0..50 {
            assert_ne!(first.image(i), other.image(i), "picture {i} of two streams is the same");
        }
    }
}

#[test]
fn a_picture_does_not_depend_on_the_number_of_threads_or_pictures() {
    let all = draw_test(3, 64);
    for n_threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let fewer = pool.install(|| draw_test(3, 40));
        assert!(all.images.starts_with(&fewer.images), "{n_threads} threads draw other pictures");
        assert!(all.labels.starts_with(&fewer.labels));
    }
}

#[test]
fn the_pictures_of_a_seed_never_change() {
    // These hashes never change: a seed gives the same pictures on every platform and in every version. Other pictures
    // would change every published accuracy.
    assert_eq!(fnv1a(&draw_train(0, 200).images), 1141434979292438525);
    assert_eq!(fnv1a(&draw_test(0, 200).images), 13736369064562214141);
}

/// The FNV-1a hash: small, and enough to detect a changed byte.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[test]
fn the_default_dataset_is_balanced_and_described() {
    let dataset = generate(0);
    assert_eq!(dataset.name, "shapes");
    assert_eq!(dataset.spec.classes.len(), N_CLASSES);
    assert!(dataset.description.contains("5000 training and 2000 test"), "{}", dataset.description);
    assert!(dataset.warnings.is_empty());
    for (split, n) in [(&dataset.train, N_TRAIN), (&dataset.test, N_TEST)] {
        assert_eq!(split.len(), n);
        assert_eq!(split.images.len(), n * SIZE.n_bytes());
        for class in 0..N_CLASSES as u16 {
            let n_class = split.labels.iter().filter(|&&label| label == class).count();
            assert_eq!(n_class, n / N_CLASSES);
        }
    }
}

#[test]
fn a_label_is_the_class_of_the_drawn_figure() {
    let split = draw_test(1, 20);
    let classes = generate(1).spec.classes;
    for i in 0..split.len() {
        let label = usize::from(split.labels[i]);
        let mut draws = Draws::new(1, Purpose::TestPictures, i as u64);
        let mut image = vec![0; SIZE.n_bytes()];
        Picture::compose(&mut draws, Figure::ALL[label]).render(&mut draws, &mut image);
        assert!(split.image(i) == image, "picture {i} is not a {}", classes[label]);
        assert_eq!(classes[label], Figure::ALL[label].name());
    }
}

/// Returns the coverage of each pixel by a single figure of radius 10 in the middle of a picture.
fn mask(figure: Figure, mirror: f32) -> Vec<f32> {
    let shape = Shape {
        figure,
        centre: [16.0; 2],
        radius: 10.0,
        turn: [1.0, 0.0],
        mirror,
        fill: two_tone(&mut Draws::new(0, Purpose::TrainPictures, 0), 0.5, 0.0),
        shadow: 0.0,
    };
    let points = (0..32 * 32).map(|i| ((i % 32) as f32 + 0.5, (i / 32) as f32 + 0.5));
    points.map(|(x, y)| shape.coverage(x, y)).collect()
}

#[test]
fn figures_stay_within_their_reach_and_have_a_plausible_area() {
    for figure in Figure::ALL {
        let mut n_inside = 0;
        for row in -150..=150 {
            for column in -150..=150 {
                let (x, y) = (column as f32 / 100.0, row as f32 / 100.0);
                if figure.distance(x, y) < 0.0 {
                    n_inside += 1;
                    assert!(x * x + y * y <= REACH * REACH, "{figure:?} reaches ({x}, {y})");
                }
            }
        }
        let area = n_inside as f32 / 10_000.0;
        assert!((0.8..2.6).contains(&area), "{figure:?} has the area {area}");
    }
}

#[test]
fn every_figure_except_the_moon_equals_its_mirror_image() {
    let worst = |a: &[f32], b: &[f32]| {
        let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        differences.fold(0.0, f32::max)
    };
    for figure in Figure::ALL {
        let drawn = mask(figure, 1.0);
        let rows = drawn.chunks(SIDE);
        let flipped: Vec<f32> = rows.flat_map(|row| row.iter().rev().copied()).collect();
        let worst_flipped = worst(&drawn, &flipped);
        if figure == Figure::Moon {
            assert!(worst_flipped > 0.9, "the moon lost its hollow");
        } else {
            assert!(worst_flipped < 1e-3, "{figure:?} changes by {worst_flipped} when flipped");
        }
        // Moons are drawn in both directions, so a flipped moon is still a moon.
        let worst_mirrored = worst(&mask(figure, -1.0), &flipped);
        assert!(worst_mirrored < 1e-3, "{figure:?} is not mirrored: {worst_mirrored}");
    }
}

#[test]
fn a_step_changes_the_distance_from_a_figure_by_at_most_its_length() {
    // The signed distances of two points from the outline differ by at most the distance between the two points. This
    // holds inside a figure, too.
    for figure in Figure::ALL {
        let mut draws = Draws::new(1, Purpose::TestPictures, 0);
        for _ in 0..2000 {
            let [x, y, step_x, step_y] = std::array::from_fn(|_| draws.between(-1.3, 1.3));
            let (near, far) =
                (figure.distance(x, y), figure.distance(x + 0.1 * step_x, y + 0.1 * step_y));
            let step = 0.1 * (step_x * step_x + step_y * step_y).sqrt();
            assert!((near - far).abs() <= step + 1e-5, "{figure:?} at ({x}, {y})");
        }
    }
}

#[test]
fn all_figures_differ() {
    for a in Figure::ALL {
        for b in Figure::ALL {
            let differ: f32 =
                mask(a, 1.0).iter().zip(mask(b, 1.0)).map(|(p, q)| (p - q).abs()).sum();
            assert!(a == b || differ > 40.0, "{a:?} and {b:?} differ by {differ} pixels");
        }
    }
}

#[test]
fn colours_have_the_given_brightness_and_are_in_range() {
    let mut draws = Draws::new(2, Purpose::TestPictures, 0);
    for _ in 0..1000 {
        let bright = draws.between(0.05, 0.95);
        let saturation = draws.unit();
        let drawn = colour(&mut draws, saturation, bright);
        assert!((texture::brightness(drawn) - bright).abs() < 1e-3, "{drawn:?} for {bright}");
        assert!(drawn.iter().all(|c| (0.0..=1.0001).contains(c)), "{drawn:?} for {bright}");
    }
}

/// Returns the test accuracy of a softmax classifier on normalised pixels, trained on the training pictures. The
/// classifier has one weight per pixel, channel and class.
fn linear_accuracy(train: &Split, test: &Split) -> f32 {
    const N_EPOCHS: u64 = 12;
    const LEARNING_RATE: f32 = 2e-3;
    const WEIGHT_DECAY: f32 = 0.1;
    // The number of classes, padded to the width of a vector register. The softmax leaves out the extra classes.
    const LANES: usize = 16;
    type Scores = [f32; LANES];

    let normalise = |byte: u8| (f32::from(byte) / 255.0 - 0.47) / 0.25;
    let scores_of = |weights: &[Scores], image: &[u8]| {
        let mut scores = [0.0; LANES];
        for (weights, &byte) in weights.iter().zip(image) {
            let x = normalise(byte);
            for lane in 0..LANES {
                scores[lane] += weights[lane] * x;
            }
        }
        scores
    };

    let mut weights = vec![[0.0; LANES]; SIZE.n_bytes()];
    for epoch in 0..N_EPOCHS {
        // The learning rate decreases linearly to 0, so the last steps average over many pictures.
        let rate = LEARNING_RATE * (1.0 - epoch as f32 / N_EPOCHS as f32) / 20.0;
        for i in crate::data::batches::epoch_order(0, epoch, train.len()) {
            let image = train.image(i as usize);
            let mut step = scores_of(&weights, &image);
            let highest = step[..N_CLASSES].iter().copied().fold(f32::MIN, f32::max);
            for score in &mut step {
                *score = (*score - highest).exp();
            }
            step[N_CLASSES..].fill(0.0);
            let total: f32 = step.iter().sum();
            for value in &mut step {
                *value *= -rate / total;
            }
            step[usize::from(train.labels[i as usize])] += rate;
            for (weights, &byte) in weights.iter_mut().zip(&*image) {
                let x = normalise(byte);
                for lane in 0..LANES {
                    weights[lane] += step[lane] * x - rate * WEIGHT_DECAY * weights[lane];
                }
            }
        }
    }

    let is_right = |i: &usize| {
        let scores = scores_of(&weights, &test.image(*i));
        let best = (0..N_CLASSES).max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        best == Some(usize::from(test.labels[*i]))
    };
    (0..test.len()).filter(is_right).count() as f32 / test.len() as f32
}

#[test]
#[cfg_attr(debug_assertions, ignore = "a minute without optimisation, a second with it")]
fn a_linear_classifier_learns_a_little() {
    let Dataset { train, test, .. } = generate(0);
    let accuracy = linear_accuracy(&train, &test);
    println!("linear classifier: {:.1}%", 100.0 * accuracy);
    // A linear classifier has fixed weights for each pixel, so it cannot recognise a figure that may be anywhere. If it
    // reached 60%, the pictures of two classes would differ in more than the figure.
    assert!(accuracy < 0.60, "a linear classifier reaches {accuracy}");
    // Random guesses reach 0.10 with a standard deviation of 0.007. A higher accuracy shows that the labels belong to
    // their pictures.
    assert!(accuracy > 0.16, "a linear classifier reaches only {accuracy}");

    // With random training labels, the test accuracy is that of random guesses. So the higher accuracy above comes from
    // the right labels.
    let mut draws = Draws::new(9, Purpose::EpochOrder, 0);
    let labels = (0..train.len()).map(|_| draws.below(10) as u16).collect();
    let accuracy = linear_accuracy(&Split { labels, ..train }, &test);
    assert!((0.07..0.13).contains(&accuracy), "random labels give {accuracy}");
}

#[test]
fn mean_and_deviation_are_those_of_the_training_pictures() {
    let train = draw_train(0, N_TRAIN);
    let spec = Shapes.spec(ReadOptions::default());
    let plane = SIDE * SIDE;
    for channel in 0..SIZE.channels {
        let images = train.images.chunks(SIZE.n_bytes());
        let bytes = images.flat_map(|image| &image[channel * plane..][..plane]);
        let (mut sum, mut squares) = (0.0, 0.0);
        for value in bytes.map(|&byte| f64::from(byte) / 255.0) {
            (sum, squares) = (sum + value, squares + value * value);
        }
        let n = (N_TRAIN * plane) as f64;
        let (mean, deviation) = (sum / n, (squares / n - (sum / n).powi(2)).sqrt());
        let [recorded, recorded_deviation] = [spec.mean[channel], spec.standard_deviation[channel]];
        assert!((mean - recorded).abs() < 5e-5, "channel {channel}: mean {mean}");
        let is_right = (deviation - recorded_deviation).abs() < 5e-5;
        assert!(is_right, "channel {channel}: mean {mean}, deviation {deviation}");
    }
}
