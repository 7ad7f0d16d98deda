// The import `trip_count`: returns n, the trip count of a loop, as a value that the compiler cannot compute. With a
// constant trip count, Mesa's software adapter unrolls short loops, and takes most of a second to compile instead of a
// tenth of a second.
fn trip_count(n: u32, n_workgroups: vec3<u32>) -> u32 {
    return n * min(n_workgroups.x, 1u);
}
