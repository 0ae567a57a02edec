//! What may stand in a header, written down a second time: from the ABNF of each specification,
//! and with nothing of the codecs.

fn lower_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.chars().all(|c| "0123456789abcdef".contains(c))
}

fn id(text: &str, digits: usize) -> bool {
    lower_hex(text, digits) && text.chars().any(|c| c != '0')
}

/// Trace Context level 2, section 3.2: `version "-" trace-id "-" parent-id "-" trace-flags`
pub(crate) fn is_traceparent(text: &str) -> bool {
    let fields: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags] = fields[..] else { return false };
    // What we send is version 00, with no flag but the two of level 2.
    version == "00" && id(trace, 32) && id(span, 16) && ["00", "01", "02", "03"].contains(&flags)
}

/// Trace Context level 2, section 3.3: at most 32 of `key "=" value`, between commas.
pub(crate) fn is_tracestate(text: &str) -> bool {
    let member = |member: &str| {
        let Some((key, value)) = member.split_once('=') else { return false };
        let key_char = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '*' | '/' | '@');
        let value_char = |c: char| matches!(c, '\x20'..='\x2b' | '\x2d'..='\x3c' | '\x3e'..='\x7e');
        matches!(key.chars().next(), Some('a'..='z' | '0'..='9'))
            && (1..=256).contains(&key.len())
            && key.chars().all(key_char)
            && (1..=256).contains(&value.len())
            && value.chars().all(value_char)
            && !value.ends_with(' ')
    };
    let members: Vec<&str> = text.split(',').collect();
    (1..=32).contains(&members.len()) && members.into_iter().all(member)
}

/// Baggage, section 3.3.1: at most 64 of `key "=" value *( ";" property )`, in 8192 bytes.
pub(crate) fn is_baggage(text: &str) -> bool {
    fn token(text: &str) -> bool {
        let tchar = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        !text.is_empty() && text.chars().all(tchar)
    }
    fn value(text: &str) -> bool {
        let octet = |c| matches!(c, '\x21' | '\x23'..='\x2b' | '\x2d'..='\x3a' | '\x3c'..='\x5b' | '\x5d'..='\x7e');
        text.chars().all(octet)
    }
    let pair = |text: &str, needs_value: bool| match text.split_once('=') {
        Some((key, text)) => {
            token(key.trim_end_matches([' ', '\t'])) && value(text.trim_start_matches([' ', '\t']))
        }
        None => !needs_value && token(text),
    };
    let member = |text: &str| {
        let mut parts = text.split(';');
        parts.next().is_some_and(|first| pair(first, true)) && parts.all(|part| pair(part, false))
    };
    let members: Vec<&str> = text.split(',').collect();
    text.len() <= 8192 && (1..=64).contains(&members.len()) && members.into_iter().all(member)
}

/// B3, "Single Header": `{TraceId}-{SpanId}-{SamplingState}`, the last of them optional.
pub(crate) fn is_b3(text: &str) -> bool {
    let fields: Vec<&str> = text.split('-').collect();
    match fields[..] {
        [trace, span] => id(trace, 32) && id(span, 16),
        [trace, span, state] => id(trace, 32) && id(span, 16) && ["0", "1", "d"].contains(&state),
        _ => false,
    }
}

/// X-Ray, "Tracing header": `Root=1-{8}-{24};Parent={16}[;Sampled={0|1}][;Lineage={..}]`.
pub(crate) fn is_xray(text: &str) -> bool {
    let mut fields = text.split(';').map(|field| field.split_once('=').unwrap_or_default());
    let root = fields.next().is_some_and(|(name, value)| {
        let parts: Vec<&str> = value.split('-').collect();
        name == "Root"
            && parts.len() == 3
            && parts[0] == "1"
            && lower_hex(parts[1], 8)
            && lower_hex(parts[2], 24)
    });
    let parent = fields.next().is_some_and(|(name, value)| name == "Parent" && id(value, 16));
    root && parent
        && fields.all(|(name, value)| match name {
            "Sampled" => value == "0" || value == "1",
            "Lineage" => value.chars().all(|c| c.is_ascii_alphanumeric() || ":|._-".contains(c)),
            _ => false,
        })
}

#[test]
fn the_grammar_itself_can_say_no() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let span = "b7ad6b7169203331";
    assert!(is_traceparent(&format!("00-{trace}-{span}-03")));
    assert!(!is_traceparent(&format!("00-{trace}-{span}-04")));
    assert!(is_tracestate("a@b@c=1,0=x y") && !is_tracestate("a=1,") && !is_tracestate("A=1"));
    assert!(is_baggage("a=b=c;p;q=1,b=") && !is_baggage("a=1;p q") && !is_baggage("a=1,,b=2"));
    assert!(is_b3(&format!("{trace}-{span}-d")) && !is_b3(&format!("{trace}-{span}-")));
    assert!(is_xray("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"));
    assert!(!is_xray("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=?"));
}
