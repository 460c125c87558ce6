//! CAPTCHAs in pages: noticed, and answered by whoever the operator names.
