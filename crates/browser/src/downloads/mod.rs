//! Files that pages give: where they are, what they are called, when they are whole.
