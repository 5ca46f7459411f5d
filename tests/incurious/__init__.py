"""An app for workers that do not look by themselves for what is to be cancelled."""
