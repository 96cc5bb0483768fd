//! What we tell people: conditions, reasons, history.
