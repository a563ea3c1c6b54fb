"""How the platform's state lies in items, and the operations of every change: one set of rules over any `ItemStore`."""
