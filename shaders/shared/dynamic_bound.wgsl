// The import `trip_count`: the trip count of a loop, which is n, as a value that is known only at run time. With a
// constant, Mesa's software adapter unrolls short loops, and then compiles for most of a second in place of a tenth.
fn trip_count(n: u32, n_workgroups: vec3<u32>) -> u32 {
    return n * min(n_workgroups.x, 1u);
}
