// How often a loop turns, for a compiler to know.
fn turns(n: u32, n_workgroups: vec3<u32>) -> u32 {
    return n;
}
