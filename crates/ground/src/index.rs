//! Places in a batch and among a table's rows. A record may have many rows, or none: the two
//! numbers are told apart by their types.

macro_rules! index {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            pub const fn new(number: u32) -> Self {
                Self(number)
            }

            /// The number as it travels, counted from 0.
            pub const fn number(self) -> u32 {
                self.0
            }

            /// The place in a slice that has one element for each.
            pub const fn place(self) -> usize {
                self.0 as usize
            }

            /// All of them, from the first on; a batch has fewer than 2^32.
            pub fn all() -> impl Iterator<Item = Self> {
                (0..=u32::MAX).map(Self)
            }

            /// The first so many.
            pub fn first(count: usize) -> impl Iterator<Item = Self> {
                Self::all().take(count)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

index! {
    /// A record's place in its batch.
    RecordIndex
}

index! {
    /// A row's place among the rows that a table's SELECT made of a batch.
    RowIndex
}
