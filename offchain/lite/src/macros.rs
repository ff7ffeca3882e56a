//! Types from TL declarations.

/// A type for a TL constructor: its declaration, and the same as a struct. `@mode` is the field of flags (fields before it are
/// in brackets), and a field with `= n` is there if bit n of it is set; the bit follows from the field when it is written,
/// whatever `mode` says.
macro_rules! tl {
    ($(
        $(#[$meta:meta])*
        $declaration:literal
        $name:ident {
            $([$($head:ident: $head_ty:ty),* $(,)?])?
            $(@$mode:ident;)?
            $($field:ident: $ty:ty $(= $bit:literal)?),* $(,)?
        }
    )*) => {$(
        $(#[$meta])*
        #[doc = concat!("\n\n`", $declaration, "`")]
        #[derive(Clone, PartialEq, Eq, Debug)]
        // The declaration says what the fields are.
        #[allow(missing_docs)]
        pub struct $name {
            $($(pub $head: $head_ty,)*)?
            $(pub $mode: u32,)?
            $(pub $field: $ty,)*
        }

        impl $crate::codec::Constructor for $name {
            const ID: u32 = $crate::codec::constructor_id($declaration);
        }

        impl $crate::codec::Tl for $name {
            #[allow(unused_variables)]
            fn write(&self, out: &mut Vec<u8>) {
                $($($crate::codec::Tl::write(&self.$head, out);)*)?
                let optional = 0u32 $($(| 1 << $bit)?)*;
                let present = 0u32 $($(| u32::from(self.$field.is_some()) << $bit)?)*;
                $($crate::codec::Tl::write(&((self.$mode & !optional) | present), out);)?
                $(tl!(@write self out $field $($bit)?);)*
            }

            #[allow(unused_variables)]
            fn read(reader: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::TlError> {
                $($(let $head = $crate::codec::Tl::read(reader)?;)*)?
                let flags = 0u32;
                $(
                    let $mode: u32 = $crate::codec::Tl::read(reader)?;
                    let flags = $mode;
                )?
                $(let $field = tl!(@read reader flags $($bit)?);)*
                Ok(Self { $($($head,)*)? $($mode,)? $($field,)* })
            }
        }
    )*};
    (@write $self:ident $out:ident $field:ident) => {
        $crate::codec::Tl::write(&$self.$field, $out)
    };
    (@write $self:ident $out:ident $field:ident $bit:literal) => {
        if let Some(value) = &$self.$field {
            $crate::codec::Tl::write(value, $out)
        }
    };
    (@read $reader:ident $flags:ident) => {
        $crate::codec::Tl::read($reader)?
    };
    (@read $reader:ident $flags:ident $bit:literal) => {
        if $flags & (1 << $bit) != 0 { Some($crate::codec::Tl::read($reader)?) } else { None }
    };
}

/// One of several constructors, told apart by their numbers.
macro_rules! one_of {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$variant_meta:meta])* $variant:ident($ty:ty)),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum $name {
            $($(#[$variant_meta])* #[doc = concat!("See [`", stringify!($ty), "`].")] $variant($ty),)*
        }

        impl $crate::codec::Tl for $name {
            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(value) => {
                        $crate::codec::Tl::write(&<$ty as $crate::codec::Constructor>::ID, out);
                        $crate::codec::Tl::write(value, out);
                    })*
                }
            }

            fn read(reader: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::TlError> {
                match u32::read(reader)? {
                    $(<$ty as $crate::codec::Constructor>::ID => {
                        Ok(Self::$variant($crate::codec::Tl::read(reader)?))
                    })*
                    found => Err($crate::codec::TlError::Constructor { what: $what, found }),
                }
            }
        }

        impl $name {
            /// As bytes.
            pub fn to_bytes(&self) -> Vec<u8> {
                let mut out = vec![];
                $crate::codec::Tl::write(self, &mut out);
                out
            }

            /// From bytes, of which none may be left.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, $crate::codec::TlError> {
                let mut reader = $crate::codec::Reader::new(bytes);
                let value = $crate::codec::Tl::read(&mut reader)?;
                reader.end()?;
                Ok(value)
            }
        }

        $(impl From<$ty> for $name {
            fn from(value: $ty) -> Self {
                Self::$variant(value)
            }
        })*
    };
}

pub(crate) use {one_of, tl};
