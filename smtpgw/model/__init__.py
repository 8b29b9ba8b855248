"""Values that pass between the rooms: frozen structs, no logic beyond their own form."""
