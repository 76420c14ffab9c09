//! Empty: the dependencies are what is wanted.
