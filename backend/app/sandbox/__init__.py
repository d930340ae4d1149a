"""Eight exchanges on loopback to rehearse on: one world behind eight doors."""
