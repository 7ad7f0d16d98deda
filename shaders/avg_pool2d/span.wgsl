// A window along one axis: its rows or columns first..end of the plane, and the number of them that counts in the mean.

struct Span {
    first: u32,
    end: u32,
    divisor: u32,
}
