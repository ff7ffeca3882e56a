//! Message and receipt types of the Cocoon network, canonical encodings and signatures; no I/O.
