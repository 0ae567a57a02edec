#![no_main]
//! Any headers, `name: value` a line, in formats that the first byte chooses.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let mut formats = throughline_fuzz::ALL;
    let by = usize::from(choice >> 5) % formats.len();
    formats.rotate_left(by);
    let chosen = formats.into_iter().enumerate().filter(|(place, _)| choice & (1 << place) != 0);
    let headers: Vec<(&[u8], &[u8])> = throughline_fuzz::lines(data)
        .map(|line| {
            let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            (&line[..at], line.get(at + 1..).unwrap_or_default())
        })
        .collect();
    throughline_fuzz::send_on(&headers, chosen.map(|(_, format)| format));
});
