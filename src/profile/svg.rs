//! A profile as a drawing.

use super::Profile;

/// Draws.
pub fn draw(_profile: &Profile) -> String {
    String::new()
}
