// The import `trip_count`: returns n, the trip count of a loop, as a constant that the compiler can compute.
fn trip_count(n: u32, n_workgroups: vec3<u32>) -> u32 {
    return n;
}
