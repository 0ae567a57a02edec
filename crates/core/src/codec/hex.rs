//! Hex digits, lower-case only, as every trace format writes them.

const ONES: u64 = 0x0101_0101_0101_0101;

/// `N` bytes from `2 * N` lower-case hex digits, eight digits at a time.
// Always, since a call would hand 16 bytes back through memory.
#[inline(always)]
pub(crate) fn hex<const N: usize>(digits: &[u8]) -> Option<u128> {
    debug_assert_eq!(digits.len(), 2 * N);
    // Looked at all together, which is less than stopping at the first that is wrong.
    let mut all = true;
    for digit in digits {
        all &= digit.is_ascii_digit() | matches!(digit, b'a'..=b'f');
    }
    if !all {
        return None;
    }
    let mut value = 0;
    for eight in digits.as_chunks::<8>().0 {
        value = value << 32 | u128::from(eight_digits(u64::from_le_bytes(*eight)));
    }
    Some(value)
}

/// Two lower-case hex digits.
#[inline]
pub(crate) fn byte(digits: [u8; 2]) -> Option<u8> {
    let value = |digit| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    Some(value(digits[0])? << 4 | value(digits[1])?)
}

/// The value of eight lower-case hex digits, the first in the lowest byte.
#[inline]
fn eight_digits(digits: u64) -> u32 {
    // Bytes never carry into each other: nine more than the low half of a letter is its value.
    let letter = (digits >> 6) & ONES;
    let nibble = (digits & (ONES * 0x0f)) + letter * 9;
    // Each product puts what is below to the left of what is above it: two digits become one
    // number, then four, then all eight.
    let pairs = (nibble.wrapping_mul(0x1001) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(0x0100_0001) >> 16) & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(0x0001_0000_0000_0001) >> 32) as u32
}

/// The way back: eight lower-case hex digits, the first in the lowest byte.
#[inline]
fn print_eight_digits(value: u32) -> u64 {
    let pairs = u64::from(value.swap_bytes());
    let pairs = (pairs | (pairs << 16)) & 0x0000_ffff_0000_ffff;
    let pairs = (pairs | (pairs << 8)) & 0x00ff_00ff_00ff_00ff;
    let nibble = ((pairs >> 4) | (pairs << 8)) & (ONES * 0x0f);
    let above_nine = ((nibble + ONES * 6) >> 4) & ONES;
    nibble + ONES * 0x30 + above_nine * 0x27
}

/// Prints `bytes` in hex, eight digits at a time.
#[inline]
pub(crate) fn put(out: &mut [u8], bytes: &[u8]) {
    for (eight, four) in out.as_chunks_mut::<8>().0.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *eight = print_eight_digits(u32::from_be_bytes(*four)).to_le_bytes();
    }
}
