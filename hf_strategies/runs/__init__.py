"""arguments -> a whole run: model, data, trainer. Every script that trains goes through here."""
