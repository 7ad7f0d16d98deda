//! Colours and frames of the dashboard.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders};

pub const TRAIN: Color = Color::Cyan;
pub const EVALUATION: Color = Color::Magenta;

pub fn panel<'a>(title: impl Into<Line<'a>>) -> Block<'a> {
    let title = title.into().patch_style(Style::new().remove_modifier(Modifier::DIM));
    Block::new().borders(Borders::TOP).border_style(dim()).title(title)
}

pub fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}
