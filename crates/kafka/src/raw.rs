//! The only `unsafe` of Throughline: headers by librdkafka's own functions.
//!
//! `rdkafka` makes a `&str` of a header's key and panics where it isn't UTF-8, which any producer
//! can cause from outside. Read here as bytes, no key can; and reading costs no allocation.

#![allow(unsafe_code, reason = "librdkafka hands out pointers; audited in this file alone")]

use std::ffi::{CStr, c_char, c_void};
use std::{ptr, slice};

use rdkafka::bindings::{
    rd_kafka_header_add, rd_kafka_header_get_all, rd_kafka_header_remove, rd_kafka_headers_t,
    rd_kafka_resp_err_t,
};
use rdkafka::message::{BorrowedHeaders, OwnedHeaders};

/// The native list behind a reference.
///
/// `rdkafka` makes a `&BorrowedHeaders` of the native pointer and nothing else, and gets the
/// pointer back in this way itself. The type has no field that could be read; `tests` below fail
/// if that ever changes, and the dependency is bound to the version they were written for.
fn native(headers: &BorrowedHeaders) -> *mut rd_kafka_headers_t {
    ptr::from_ref(headers).cast::<rd_kafka_headers_t>().cast_mut()
}

/// The key and the value of the header at `index`; `None` beyond the last one.
///
/// A value is `None` where the header has none, which isn't the same as an empty one.
#[inline]
pub(crate) fn get(headers: &BorrowedHeaders, index: usize) -> Option<(&[u8], Option<&[u8]>)> {
    // librdkafka itself takes a number that is far too large for a negative one, and reads there.
    i32::try_from(index).ok()?;
    let mut name: *const c_char = ptr::null();
    let mut value: *const c_void = ptr::null();
    let mut size = 0_usize;
    // SAFETY: the list lives as long as the reference it was made from. `index` isn't negative as
    // librdkafka's `int`; whether it is in the list librdkafka sees itself. It writes the three
    // places, which are ours, or returns an error and leaves them alone.
    let answer = unsafe {
        rd_kafka_header_get_all(
            native(headers),
            index,
            &raw mut name,
            &raw mut value,
            &raw mut size,
        )
    };
    if answer != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
        return None;
    }
    // SAFETY: librdkafka ends a header's name with a NUL, also one that came over the wire, and
    // keeps it unchanged until the list is changed. For that a list has to be owned: a change
    // takes `&mut` or the list itself, while this result borrows it.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    let value = (!value.is_null()).then(|| {
        // SAFETY: the value is `size` bytes long, and lives as the name does.
        unsafe { slice::from_raw_parts(value.cast::<u8>(), size) }
    });
    Some((name, value))
}

/// Removes every header of exactly this name.
pub(crate) fn remove(headers: &mut OwnedHeaders, name: &CStr) {
    // SAFETY: the list is owned, so it may be changed, and nothing borrows it, since it is `&mut`
    // here. The name is read, and not kept. An error means that there was nothing to remove.
    let _absent = unsafe { rd_kafka_header_remove(native(headers.as_borrowed()), name.as_ptr()) };
}

/// Appends a header whose name is bytes; one that librdkafka refuses is left out.
pub(crate) fn append(headers: &mut OwnedHeaders, key: &[u8], value: Option<&[u8]>) {
    let (Ok(key_len), Ok(value_len)) =
        (isize::try_from(key.len()), isize::try_from(value.map_or(0, <[u8]>::len)))
    else {
        return;
    };
    let value = value.map_or(ptr::null(), <[u8]>::as_ptr);
    // SAFETY: the list is owned and nothing borrows it, since it is `&mut` here. Key and value are
    // as long as is said, and are copied. A value of null is a header without one.
    let _refused = unsafe {
        rd_kafka_header_add(
            native(headers.as_borrowed()),
            key.as_ptr().cast(),
            key_len,
            value.cast(),
            value_len,
        )
    };
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header, Headers};

    use super::*;

    fn list() -> OwnedHeaders {
        OwnedHeaders::new()
            .insert(Header { key: "a", value: Some("1") })
            .insert(Header { key: "b", value: None::<&str> })
            .insert(Header { key: "a", value: Some("") })
            .insert(Header { key: "c", value: Some(&[0xff_u8, 0][..]) })
    }

    #[test]
    fn headers_are_read_as_they_are() {
        let headers = list();
        let borrowed = headers.as_borrowed();
        let read: Vec<_> = (0..).map_while(|index| get(borrowed, index)).collect();
        let wanted: [(&[u8], Option<&[u8]>); 4] =
            [(b"a", Some(b"1")), (b"b", None), (b"a", Some(b"")), (b"c", Some(&[0xff, 0]))];
        assert_eq!(read, wanted);
        assert_eq!(get(borrowed, usize::MAX), None);
        assert_eq!(get(OwnedHeaders::new().as_borrowed(), 0), None);
    }

    #[test]
    fn a_key_that_is_no_text_is_bytes() {
        let mut headers = list();
        append(&mut headers, b"\xff\xfe", Some(b"x"));
        append(&mut headers, b"", None);
        let read = [4, 5].map(|index| get(headers.as_borrowed(), index));
        assert_eq!(read[0], Some((&b"\xff\xfe"[..], Some(&b"x"[..]))));
        assert_eq!(read[1], Some((&b""[..], None)));
    }

    #[test]
    fn all_of_a_name_are_removed_and_nothing_else() {
        let mut headers = list();
        remove(&mut headers, c"a");
        remove(&mut headers, c"absent");
        assert_eq!(headers.count(), 2);
        let names: Vec<_> = (0..2)
            .filter_map(|index| get(headers.as_borrowed(), index))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, [b"b", b"c"]);
    }

    #[test]
    fn a_copy_is_a_list_of_its_own() {
        let mut headers = list();
        let copy = headers.as_borrowed().detach();
        remove(&mut headers, c"a");
        drop(headers);
        assert_eq!(get(copy.as_borrowed(), 0), Some((&b"a"[..], Some(&b"1"[..]))));
    }
}
