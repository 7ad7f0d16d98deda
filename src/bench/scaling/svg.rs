//! stub
use super::Scaling;
/// stub
pub fn draw(_: &Scaling) -> String {
    String::new()
}
