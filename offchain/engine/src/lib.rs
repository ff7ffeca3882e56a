//! The inference engine behind one small trait; mistral.rs lives here and nowhere else.
