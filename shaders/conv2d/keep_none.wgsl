// Nobody wants moments, and what made them goes away.

fn keep(row: u32, channel: u32, values: Moments) {}
