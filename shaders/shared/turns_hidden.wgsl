// How often a loop turns: n, in words that a compiler cannot work out. Mesa's software adapter writes loops of
// few turns out whole, and then takes most of a second for what else takes a tenth of one.
fn turns(n: u32, n_workgroups: vec3<u32>) -> u32 {
    return n * min(n_workgroups.x, 1u);
}
