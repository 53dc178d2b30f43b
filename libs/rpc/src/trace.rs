//! W3C Trace Context (https://www.w3.org/TR/trace-context/, version 00) through every link, frame
//! and publication.
