"""What a project asks to have installed, in whichever file it says so."""
